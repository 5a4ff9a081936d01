/**
 * Reads an image, with all layers applied and whiteouts obeyed: `oci:DIR[:TAG]`, `oci:ARCHIVE[:TAG]`, or an
 * archive by itself.
 */
import { existsSync, statSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import type { ObjectWriter } from '../../store/object-writer.ts';
import { DOCKER_MANIFEST, dockerLayers } from './docker-archive.ts';
import { DigestCheck } from './image-blobs.ts';
import { type ImageFiles, imageArchive, imageDirectory } from './image-files.ts';
import { type ImageLayer, ociLayers } from './oci-layout.ts';
import { withArchive } from './open-archive.ts';
import { TarImport } from './read-tar.ts';
import { badArchive } from './tar/header.ts';
import type { OnProgress, TreeNode } from './tree.ts';
import { TreeBuilder } from './tree-builder.ts';

/** An image's place, and the tag of the one wanted. */
export interface OciSource {
  /** A directory or an archive. */
  readonly at: string;
  readonly tag: string | null;
}

/** Parses AT or AT:TAG. Both parts may have colons: the shortest AT that exists is taken, else the longest. */
export function parseOciSource(text: string): OciSource {
  for (let colon = text.indexOf(':'); colon > 0; colon = text.indexOf(':', colon + 1)) {
    const at = text.slice(0, colon);
    if (existsSync(at) && !existsSync(text)) return { at, tag: text.slice(colon + 1) };
  }
  const last = text.lastIndexOf(':');
  const hasTag = last > 0 && !text.slice(last).includes('/') && !existsSync(text);
  return hasTag ? { at: text.slice(0, last), tag: text.slice(last + 1) } : { at: text, tag: null };
}

/**
 * Reads an image into a tree.
 * @throws ByrefError 'notFound' for the image, the tag or the platform, 'badInput' for a damaged image
 */
export async function readOci(
  source: OciSource,
  writer: ObjectWriter,
  progress: OnProgress,
): Promise<TreeNode> {
  const tree = await readImage(source, writer, progress);
  if (tree !== null) return tree;
  const message = `${source.at} is no archive of an image`;
  throw new ByrefError('badInput', message, 'Name one by docker save, or an oci-archive.');
}

/** Does the same as readOci, but returns null for an archive that is not of an image. */
export async function readImage(
  { at, tag }: OciSource,
  writer: ObjectWriter,
  progress: OnProgress,
): Promise<TreeNode | null> {
  const isFile = statSync(at, { throwIfNoEntry: false })?.isFile() ?? false;
  const files = isFile ? await imageArchive(at, writer) : imageDirectory(at);
  if (files === null) return null;
  try {
    const layers = await layersOf(files, tag);
    return layers && (await applied(layers, files, writer, progress));
  } finally {
    files.dispose();
  }
}

/**
 * Returns the layers, or null if it is neither form of an image. What has both forms, as Docker's archives do
 * now, is read as OCI: there every blob has its digest.
 */
async function layersOf(files: ImageFiles, tag: string | null): Promise<ImageLayer[] | null> {
  if (files.find('index.json') !== null) return ociLayers(files, tag);
  if (files.find(DOCKER_MANIFEST) !== null) return dockerLayers(files, tag);
  return statSync(files.at, { throwIfNoEntry: false })?.isFile() ? null : ociLayers(files, tag);
}

async function applied(
  layers: readonly ImageLayer[],
  { at }: ImageFiles,
  writer: ObjectWriter,
  progress: OnProgress,
): Promise<TreeNode> {
  const tree = new TreeBuilder('confine');
  const tar = new TarImport(tree, writer, progress);
  for (const [i, { file, diffId }] of layers.entries()) {
    const check = new DigestCheck(diffId);
    tree.beginLayer();
    await withArchive(file, (stream, part) => {
      const done = () => (i + part()) / layers.length;
      return tar.read(check.through(stream), done, { layer: true });
    });
    const found = check.found();
    if (found !== diffId) {
      const message = `${at}: layer ${i + 1} of ${layers.length} is damaged: unpacked, it is to be ${diffId}, and is ${found}`;
      throw badArchive(message);
    }
  }
  tar.finish();
  await writer.finish();
  return tree.root;
}
