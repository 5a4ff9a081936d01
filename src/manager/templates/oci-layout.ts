/** Reads an image in the OCI image layout, from index.json to the layers; verifies every blob on the way. */
import { ByrefError } from '../../base/error.ts';
import { type Descriptor, type Platform, readJson, verifiedBlob } from './image-blobs.ts';
import type { ImageFiles } from './image-files.ts';
import { badArchive } from './tar/header.ts';

/** One layer of an image. */
export interface ImageLayer {
  readonly file: string;
  /** The digest of its uncompressed bytes. */
  readonly diffId: string;
}

const INDEX = 'index.json';
const TAG_ANNOTATION = 'org.opencontainers.image.ref.name';
/** containerd's annotation in images that Docker saves: the name with its registry. */
const NAME_ANNOTATION = 'io.containerd.image.name';
/** Go's names for architectures that Node names differently. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  loong64: 'loong64',
};
/** How deep an index may name other indexes; no tool nests them deeper. */
const INDEX_DEPTH_MAX = 4;

/**
 * Returns the layers of an image, from the bottom up.
 * @throws ByrefError 'notFound' for the layout, the tag or the platform, 'badInput' for a damaged image
 */
export async function ociLayers(files: ImageFiles, tag: string | null): Promise<ImageLayer[]> {
  const index = files.find(INDEX);
  if (index === null) {
    const message = `${files.at} is not an OCI image layout: there is no ${INDEX}`;
    throw new ByrefError(
      'notFound',
      message,
      'Name a directory, or an archive, with an index.json.',
    );
  }
  const images = descriptors(readJson(files, index, INDEX), 'manifests');
  const manifest = await manifestOf(files, chosen(files, images, tag), 0);
  const layers = descriptors(manifest, 'layers');
  const [config] = descriptors({ config: [(manifest as { config?: unknown }).config] }, 'config');
  const configFile = await verifiedBlob(files, config!);
  const diffIds = diffIdsOf(readJson(files, configFile, config!.digest), layers.length);
  const found: ImageLayer[] = [];
  for (const [i, layer] of layers.entries()) {
    found.push({ file: await verifiedBlob(files, layer), diffId: diffIds[i]! });
  }
  return found;
}

/**
 * Returns the digests of the uncompressed layers from an image's configuration.
 * @throws ByrefError 'badInput' if it does not list one for each layer
 */
export function diffIdsOf(config: unknown, layers: number): readonly string[] {
  const ids = (config as { rootfs?: { diff_ids?: unknown } } | null)?.rootfs?.diff_ids;
  const isSound = Array.isArray(ids) && ids.every((id) => typeof id === 'string');
  if (!isSound) throw badArchive('the image has a damaged configuration: it lists no diff_ids');
  if (ids.length === layers) return ids;
  throw badArchive(
    `the image has ${layers} layers, and its configuration lists ${ids.length} diff_ids`,
  );
}

function chosen({ at }: ImageFiles, all: readonly Descriptor[], tag: string | null): Descriptor {
  const wanted = tag === null ? all : all.filter((each) => namesOf(each).includes(tag));
  if (wanted.length === 1) return wanted[0]!;
  // One image, in variants for several kinds of machines.
  if (wanted.length > 1 && wanted.every(({ platform }) => platform !== undefined)) {
    const here = wanted.filter(({ platform }) => isHere(platform));
    if (here.length === 1) return here[0]!;
    if (here.length === 0) throw noPlatform(at, wanted);
  }
  const message =
    wanted.length === 0 && tag !== null
      ? `${at} has no image tagged "${tag}"`
      : `${at} has ${wanted.length} images${tag === null ? '' : ` tagged "${tag}"`}`;
  const tags = all.flatMap((each) => namesOf(each).slice(0, 1)).join(', ') || 'none';
  throw new ByrefError('notFound', message, `Write oci:${at}:TAG; it has these tags: ${tags}.`);
}

function namesOf({ annotations }: Descriptor): string[] {
  const names = [annotations?.[TAG_ANNOTATION], annotations?.[NAME_ANNOTATION]];
  return names.filter((name) => name !== undefined && name !== '') as string[];
}

/** Returns the manifest that a descriptor leads to, through an index of platforms if there is one. */
async function manifestOf(files: ImageFiles, from: Descriptor, depth: number): Promise<unknown> {
  const manifest = readJson(files, await verifiedBlob(files, from), from.digest);
  const platforms = descriptors(manifest, 'manifests');
  if (platforms.length === 0) return manifest;
  const here = platforms.find(({ platform }) => isHere(platform)) ?? onlyOne(platforms);
  if (here === undefined || depth >= INDEX_DEPTH_MAX) throw noPlatform(files.at, platforms);
  return manifestOf(files, here, depth + 1);
}

/** Returns the only image of an index that does not say for which platform it is. */
const onlyOne = (all: readonly Descriptor[]): Descriptor | undefined =>
  all.length === 1 && all[0]!.platform === undefined ? all[0] : undefined;

const machine = (): string => ARCHITECTURES[process.arch] ?? process.arch;

const isHere = (platform: Platform | undefined): boolean =>
  platform?.os === 'linux' && platform.architecture === machine();

function noPlatform(at: string, all: readonly Descriptor[]): ByrefError {
  const known = all.flatMap(({ platform }) => (platform === undefined ? [] : [platform]));
  const names = known
    // Signatures and the like are listed with an unknown platform.
    .filter(({ os }) => os !== 'unknown')
    .map(({ os, architecture, variant }) => [os, architecture, variant].filter(Boolean).join('/'));
  const message = `${at} has no image for linux/${machine()}, which this machine is`;
  const hint = `Copy the image for this machine; there are ${[...new Set(names)].join(', ') || 'none'}.`;
  return new ByrefError('notFound', message, hint);
}

/** Returns the descriptors in a list of an index or a manifest; none if it has no such list. */
function descriptors(json: unknown, list: 'manifests' | 'layers' | 'config'): Descriptor[] {
  const found = (json as Record<string, unknown> | null)?.[list];
  if (found === undefined) return [];
  const sound = (one: unknown): one is Descriptor =>
    typeof one === 'object' && one !== null && typeof (one as Descriptor).digest === 'string';
  if (Array.isArray(found) && found.every(sound)) return found;
  throw badArchive(
    list === 'config'
      ? 'the image has no configuration'
      : `the image has a damaged list of ${list}`,
  );
}
