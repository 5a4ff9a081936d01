/** Reads an image from an OCI image layout: `oci:DIR[:TAG]`, all layers applied, whiteouts obeyed. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import type { ObjectWriter } from '../store/object-writer.ts';
import { withArchive } from './open-archive.ts';
import { TarImport } from './read-tar.ts';
import { badArchive } from './tar/header.ts';
import type { OnProgress, TreeNode } from './tree.ts';
import { TreeBuilder } from './tree-builder.ts';

interface Descriptor {
  readonly digest: string;
  readonly mediaType?: string;
  readonly platform?: { readonly architecture?: string; readonly os?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

const TAG_ANNOTATION = 'org.opencontainers.image.ref.name';
const DIGEST = /^sha256:([0-9a-f]{64})$/;
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };
/** An index may name indexes; this deep, it is none that a tool made. */
const INDEX_DEPTH_MAX = 4;
const JSON_MAX = 2 ** 22;

export interface OciSource {
  readonly dir: string;
  readonly tag: string | null;
}

export function parseOciSource(text: string): OciSource {
  const at = text.lastIndexOf(':');
  const hasTag = at > 0 && !text.slice(at).includes('/');
  return hasTag ? { dir: text.slice(0, at), tag: text.slice(at + 1) } : { dir: text, tag: null };
}

/** @throws ByrefError 'notFound' for the layout or the tag, 'badInput' for what is damaged */
export async function readOci(
  source: OciSource,
  writer: ObjectWriter,
  progress: OnProgress,
): Promise<TreeNode> {
  const index = readJson(path.join(source.dir, 'index.json'), source.dir);
  const manifest = await manifestOf(source, chosen(source, descriptors(index, 'manifests')), 0);
  const tree = new TreeBuilder('confine');
  const tar = new TarImport(tree, writer, progress);
  const layers = descriptors(manifest, 'layers');
  for (const [i, { digest }] of layers.entries()) {
    const file = await verifiedBlob(source.dir, digest);
    tree.beginLayer();
    await withArchive(file, (stream, part) => {
      return tar.read(stream, () => (i + part()) / layers.length, { layer: true });
    });
  }
  tar.finish();
  await writer.finish();
  return tree.root;
}

function chosen({ dir, tag }: OciSource, all: readonly Descriptor[]): Descriptor {
  const named = all.map((one) => one.annotations?.[TAG_ANNOTATION] ?? '');
  const wanted = tag === null ? all : all.filter((_, i) => named[i] === tag);
  const [first] = wanted;
  if (first !== undefined && (wanted.length === 1 || tag !== null)) return first;
  const message =
    tag === null ? `${dir} has ${all.length} images` : `${dir} has no image tagged "${tag}"`;
  const tags = named.filter((name) => name !== '').join(', ') || 'none';
  throw new ByrefError('notFound', message, `Write oci:${dir}:TAG; it has these tags: ${tags}.`);
}

/** The manifest that a descriptor leads to, through an index of platforms if there is one. */
async function manifestOf(source: OciSource, from: Descriptor, depth: number): Promise<unknown> {
  const manifest = readJson(await verifiedBlob(source.dir, from.digest), source.dir);
  const platforms = descriptors(manifest, 'manifests');
  if (platforms.length === 0) return manifest;
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const here = platforms.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  if (here === undefined || depth >= INDEX_DEPTH_MAX) {
    throw badArchive(`${source.dir} has no image for linux/${architecture}`);
  }
  return manifestOf(source, here, depth + 1);
}

function readJson(file: string, dir: string): unknown {
  let text: Buffer;
  try {
    text = readFileSync(file);
  } catch (cause) {
    const message = `${dir} is not an OCI image layout: there is no ${path.relative(dir, file)}`;
    throw new ByrefError('notFound', message, 'Name a directory with an index.json.', { cause });
  }
  try {
    if (text.length > JSON_MAX) throw new Error('too large');
    return JSON.parse(text.toString('utf8'));
  } catch (cause) {
    const what = `${path.relative(dir, file)} is not JSON`;
    throw new ByrefError('badInput', `${dir}: ${what}`, 'Copy the image again.', { cause });
  }
}

/** The descriptors in a list of an index or a manifest; none if it has no such list. */
function descriptors(json: unknown, list: 'manifests' | 'layers'): Descriptor[] {
  const found = (json as Record<string, unknown> | null)?.[list];
  if (found === undefined) return [];
  const sound = (one: unknown): one is Descriptor =>
    typeof one === 'object' && one !== null && typeof (one as Descriptor).digest === 'string';
  if (Array.isArray(found) && found.every(sound)) return found;
  throw badArchive(`the image has a damaged list of ${list}`);
}

/** The blob's path, once its bytes were seen to be those that its digest names. */
async function verifiedBlob(dir: string, digest: string): Promise<string> {
  const hex = DIGEST.exec(digest)?.[1];
  if (hex === undefined) throw badArchive(`the image names a blob by "${digest}", not by SHA-256`);
  const file = path.join(dir, 'blobs', 'sha256', hex);
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  } catch (cause) {
    const message = `${dir}: blob ${digest} can't be read`;
    throw new ByrefError('badInput', message, 'Copy the image again.', { cause });
  }
  if (hash.digest('hex') === hex) return file;
  throw badArchive(`${dir}: blob ${digest} is damaged or truncated`);
}
