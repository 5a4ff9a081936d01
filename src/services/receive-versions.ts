/** Takes versions of templates from another machine: send-versions.ts. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import type { StackName } from '../manager/backup/manifest.ts';
import { unpacked } from '../manager/moves/compressed.ts';
import type { Incoming } from '../manager/moves/incoming.ts';
import { ArrivingObjects, type WantedObject } from '../manager/moves/object-stream.ts';
import type { CommittedVersion } from '../manager/templates/commit-tree.ts';
import { importListing, type Lacking } from '../manager/templates/import-listing.ts';
import type { StackRef, Store } from '../store/store.ts';
import type { Wire } from './move-wire.ts';
import { removeTemplate, removeVersion } from './remove-template.ts';
import { findVersion, freeName } from './restore-env.ts';

/** Ids in one message. */
const AT_ONCE = 10_000;
/** Longer listings are refused: one of ten million files. */
const LISTING_MAX = 2 ** 34;

/** A version that comes. */
export interface ComingVersion {
  readonly version: StackName;
  /** The OS of the env's stack: it comes first. */
  readonly os: StackName;
  /** True: it is not in the stack, but one of the OS that apps of it were installed on. */
  readonly isBase: boolean;
  /** Of an app: the identity of the version that it was installed on; null: not known. */
  readonly base: string | null;
}

/**
 * Takes a version. What comes of its objects stays in the directory of the move until the version is whole, so that of one that is broken off, the rest
 * is enough later. The store is open for adding.
 * @throws ByrefError 'corrupt' if it shows something else here; as importListing()
 */
export async function receiveVersion(
  store: Store,
  wire: Wire,
  { version, os, isBase, base }: ComingVersion,
  incoming: Incoming,
  signal: AbortSignal,
): Promise<void> {
  const { kind, label, sharedPatterns, config, identity } = version;
  await pipeline(
    limited(unpacked(wire.data())),
    createWriteStream(incoming.listing, { mode: 0o600 }),
    {
      signal,
    },
  );
  failpoint('receive-listed');
  const arriving = new ArrivingObjects(incoming.objects);
  const below = findVersion(store, os)?.templateId ?? null;
  const name =
    isBase && below !== null ? store.catalog.byId(below)!.name : freeName(store, version);
  // Without it, what the app shares with others could not be merged.
  const on = below === null ? undefined : versionIn(store, below, base);
  const options = {
    ...{ kind, label, note: 'came with an env', sharedPatterns, config, isOld: isBase },
    ...(kind === 'app' && on !== undefined && { base: on }),
  };
  const fetch = async (lacking: readonly Lacking[]): Promise<ArrivingObjects['path']> => {
    const wanted = arriving.wanted(lacking);
    await ask(wire, wanted);
    const sizes = new Map(lacking.map(({ id, size }) => [id, size]));
    if (wanted.length > 0) await arriving.take(unpacked(wire.data()), wanted, sizes);
    failpoint('receive-objects');
    return arriving.path;
  };
  const made = await importListing(store, name, incoming.listing, options, fetch);
  failpoint('receive-version');
  store.refresh();
  if (findVersion(store, version) === null) {
    await store.writing(() => removeAgain(store, made));
    const message = `${version.template}@${version.version} did not come as it was: it shows something else here`;
    throw new ByrefError('corrupt', message, 'Nothing was made. Move it again.');
  }
  await wire.send({ took: identity });
  arriving.remove();
}

function versionIn(
  store: Store,
  templateId: number,
  identity: string | null,
): StackRef | undefined {
  const refs = store.versions(templateId).map(({ number }) => ({ templateId, version: number }));
  return refs.find((ref) => store.identity(ref) === identity);
}

/** Removes a version that is not the one that was wanted. */
async function removeAgain(store: Store, { template, version }: CommittedVersion): Promise<void> {
  const { name, id } = template;
  if (store.versions(id).length > 1) await removeVersion(store, name, version.number, true);
  else await removeTemplate(store, name);
}

async function* limited(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of stream) {
    bytes += piece.length;
    if (bytes > LISTING_MAX)
      throw new ByrefError('badInput', 'the listing of a version has no end', 'Use byref move.');
    yield piece;
  }
}

async function ask(wire: Wire, wanted: readonly WantedObject[]): Promise<void> {
  for (let at = 0; ; at += AT_ONCE) {
    const lacks = wanted.slice(at, at + AT_ONCE).map(({ id, from }) => [id, from] as const);
    const more = at + AT_ONCE < wanted.length;
    await wire.send({ lacks, more });
    if (!more) return;
  }
}
