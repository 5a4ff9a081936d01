/**
 * The files of an image, by name, wherever they are: in a directory, or in an archive, such as `docker save` and
 * `skopeo copy ... oci-archive:` write.
 */
import { closeSync, existsSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ObjectWriter } from '../../store/object-writer.ts';
import { writeContent } from './member-content.ts';
import { withArchive } from './open-archive.ts';
import { badArchive } from './tar/header.ts';
import { type TarMember, TarReader } from './tar/reader.ts';

export interface ImageFiles {
  /** For messages: the directory or the archive. */
  readonly at: string;
  /** Where the file can be read; null if the image has none of that name. @param name relative, as the image's own files have it */
  find(name: string): string | null;
  dispose(): void;
}

/** What lies at the top of such an archive: Docker's, of now and of old, those of skopeo, crane, kaniko and Podman. */
const IMAGE_FILE =
  /^(?:blobs|index\.json|oci-layout|manifest\.json|repositories|(?:sha256:)?[0-9a-f]{64}(?:\.json|\.tar|\.tar\.gz)?)(?:\/|$)/;
const LINKS_MAX = 10;
/** Image archives are of the uncompressed formats that have an end mark or not, as their writers please. */
const STRICT = false;

export function imageDirectory(dir: string): ImageFiles {
  return {
    at: dir,
    find(name) {
      const file = path.join(dir, name);
      return existsSync(file) ? file : null;
    },
    dispose: () => undefined,
  };
}

/** True if the first member is one that image archives have; an archive of a root file system never begins so. */
export async function looksLikeImage(file: string): Promise<boolean> {
  if (!statSync(file).isFile()) return false;
  const first = async (stream: AsyncIterable<Buffer>): Promise<boolean> => {
    const reader = new TarReader(stream, STRICT);
    for (;;) {
      const member = await reader.next();
      if (member === null) return false;
      const name = relative(member.path);
      if (name !== '') return IMAGE_FILE.test(name);
    }
  };
  return withArchive(file, first, { partly: true });
}

/**
 * Unpacks an archive below the store, where what is left of a killed import is removed by the next writer.
 * @returns null if it has members that no image has: it is an archive of a root file system
 */
export async function imageArchive(file: string, writer: ObjectWriter): Promise<ImageFiles | null> {
  const unpacked = new UnpackedImage(file);
  try {
    const isImage = await withArchive(file, (stream) => unpacked.read(stream, writer), {
      partly: true,
    });
    if (isImage) return unpacked;
  } catch (cause) {
    unpacked.dispose();
    throw cause;
  }
  unpacked.dispose();
  return null;
}

class UnpackedImage implements ImageFiles {
  readonly at: string;
  private readonly files = new Map<string, string>();
  /** Docker of old has a layer that occurs twice as a link. */
  private readonly links = new Map<string, string>();

  constructor(at: string) {
    this.at = at;
  }

  find(name: string): string | null {
    let at = relative(name);
    for (let i = 0; i < LINKS_MAX; i++) {
      const target = this.links.get(at);
      if (target === undefined) return this.files.get(at) ?? null;
      at = target;
    }
    return null;
  }

  dispose(): void {
    for (const file of this.files.values()) rmSync(file, { force: true });
  }

  /** @returns false at the first member that is none of an image */
  async read(stream: AsyncIterable<Buffer>, writer: ObjectWriter): Promise<boolean> {
    const reader = new TarReader(stream, STRICT);
    for (let member = await reader.next(); member !== null; member = await reader.next()) {
      const name = relative(member.path);
      if (name === '') continue;
      if (!IMAGE_FILE.test(name)) return false;
      await this.add(reader, member, name, writer);
    }
    return true;
  }

  private async add(
    reader: TarReader,
    member: TarMember,
    name: string,
    writer: ObjectWriter,
  ): Promise<void> {
    if (member.type === '5') return;
    if (member.type === '1') this.links.set(name, relative(member.linkPath));
    else if (member.type === '2') {
      this.links.set(name, relative(path.join(path.dirname(name), member.linkPath)));
    } else if ('07S'.includes(member.type)) {
      const { path: file, fd } = writer.createTemp();
      this.files.set(name, file);
      try {
        await writeContent(reader, member, fd);
      } finally {
        closeSync(fd);
      }
    } else throw badArchive(`${this.at} has a member that no image has: ${name}`);
  }
}

/** "./blobs/" as "blobs". */
const relative = (name: string): string =>
  path
    .normalize(name)
    .replace(/^\.?\/+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
