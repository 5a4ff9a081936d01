/**
 * Reads an image in the form that `docker save` used before OCI image layouts: manifest.json, a configuration,
 * layers.
 */
import { ByrefError } from '../../base/error.ts';
import { readJson, verifyFile } from './image-blobs.ts';
import type { ImageFiles } from './image-files.ts';
import { diffIdsOf, type ImageLayer } from './oci-layout.ts';
import { badArchive } from './tar/header.ts';

/** The file by which this form is recognized. */
export const DOCKER_MANIFEST = 'manifest.json';
/** Matches a configuration that is named by its digest. */
const NAMED_BY_DIGEST = /^(?:.*\/)?(?:sha256:)?([0-9a-f]{64})(?:\.json)?$/;

interface DockerImage {
  readonly config: string;
  readonly layers: readonly string[];
  /** Its names, as NAME:TAG. */
  readonly tags: readonly string[];
}

/**
 * Returns the layers of an image, from the bottom up.
 * @throws ByrefError 'notFound' for the tag, 'badInput' for a damaged image
 */
export async function dockerLayers(files: ImageFiles, tag: string | null): Promise<ImageLayer[]> {
  const { config, layers } = chosen(files, images(files), tag);
  const file = need(files, config);
  const [, hex] = NAMED_BY_DIGEST.exec(config) ?? [];
  if (hex !== undefined) await verifyFile(files, file, `sha256:${hex}`);
  const diffIds = diffIdsOf(readJson(files, file, config), layers.length);
  return layers.map((layer, i) => ({ file: need(files, layer), diffId: diffIds[i]! }));
}

function chosen({ at }: ImageFiles, all: readonly DockerImage[], tag: string | null): DockerImage {
  const isNamed = (name: string): boolean => name === tag || name.endsWith(`:${tag}`);
  const wanted = tag === null ? all : all.filter(({ tags }) => tags.some(isNamed));
  if (wanted.length === 1) return wanted[0]!;
  const message =
    tag === null
      ? `${at} has ${all.length} images`
      : `${at} has ${wanted.length === 0 ? 'no image' : 'several images'} tagged "${tag}"`;
  const tags = all.flatMap((each) => each.tags).join(', ') || 'none';
  throw new ByrefError('notFound', message, `Write oci:${at}:TAG; it has these tags: ${tags}.`);
}

function images(files: ImageFiles): DockerImage[] {
  const json = readJson(files, need(files, DOCKER_MANIFEST), DOCKER_MANIFEST);
  const texts = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every((each) => typeof each === 'string');
  const all = (Array.isArray(json) ? json : [null]) as (Record<string, unknown> | null)[];
  return all.map((one) => {
    const config = one?.['Config'];
    const layers = one?.['Layers'];
    const tags = one?.['RepoTags'] ?? [];
    if (typeof config === 'string' && texts(layers) && texts(tags)) return { config, layers, tags };
    throw badArchive(`${files.at}: ${DOCKER_MANIFEST} is damaged`);
  });
}

function need(files: ImageFiles, name: string): string {
  const file = files.find(name);
  if (file !== null) return file;
  throw badArchive(`${files.at} is truncated: it names ${name}, and does not have it`);
}
