/**
 * Finds the files of an image by name, whether in a directory or in an archive such as `docker save` and
 * `skopeo copy ... oci-archive:` write.
 */
import { closeSync, existsSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ObjectWriter } from '../../store/object-writer.ts';
import { writeContent } from './member-content.ts';
import { withArchive } from './open-archive.ts';
import { badArchive } from './tar/header.ts';
import { type TarMember, TarReader } from './tar/reader.ts';

/** The files of one image. */
export interface ImageFiles {
  /** The directory or the archive, for messages. */
  readonly at: string;
  /**
   * Returns the path at which a file can be read; null if the image has none of that name.
   * @param name relative, as in the image's own files
   */
  find(name: string): string | null;
  dispose(): void;
}

/**
 * Matches what lies at the top of an image archive: those of Docker (new and old), skopeo, crane, kaniko and
 * Podman.
 */
const IMAGE_FILE =
  /^(?:blobs|index\.json|oci-layout|manifest\.json|repositories|(?:sha256:)?[0-9a-f]{64}(?:\.json|\.tar|\.tar\.gz)?)(?:\/|$)/;
const LINKS_MAX = 10;
/** Image archives may lack the end mark of a tar: some of their writers leave it out. */
const STRICT = false;

/** Returns the files of an image in a directory. */
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

/**
 * Returns true if the archive's first member is one of an image; an archive of a root file system never begins
 * with one.
 */
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
 * Unpacks an archive below the store; what a killed import leaves there is removed by the next writer.
 * @returns null if it has members that no image has: then it is an archive of a root file system
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
  /** Old versions of Docker store a layer that occurs twice as a link. */
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

  /** Unpacks the members. @returns false at the first one that does not belong to an image */
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

/** Normalizes a member's path: "./blobs/" becomes "blobs". */
const relative = (name: string): string =>
  path
    .normalize(name)
    .replace(/^\.?\/+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
