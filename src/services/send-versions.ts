/** Sends versions of templates to a machine that lacks them: what they show, and of their objects those that it lacks. */
import { closeSync, createReadStream, openSync, rmSync } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import type { ObjectId } from '../base/ids.ts';
import type { StackName } from '../manager/backup/manifest.ts';
import { packed } from '../manager/moves/compressed.ts';
import { objectStream, type WantedObject } from '../manager/moves/object-stream.ts';
import { exportListing } from '../manager/templates/export.ts';
import type { EnvRow, StackRef, Store } from '../store/store.ts';
import { nameOf, stackNames } from './backup-env.ts';
import type { Wire } from './move-wire.ts';

const OBJECT_ID = /^[0-9a-f]{64}$/;

/** A version to send. */
export interface SentVersion extends StackName {
  readonly ref: StackRef;
}

/** Returns the versions of an env's stack, from the bottom up, and those beside them that its apps were installed on. */
export function versionsOf(
  store: Store,
  row: EnvRow,
): { readonly stack: SentVersion[]; readonly bases: SentVersion[] } {
  const plain = store.plainStack(row);
  const stack = stackNames(store, row, () => false).map((name, i) => ({ ...name, ref: plain[i]! }));
  const known = new Set(stack.map(({ identity }) => identity));
  const bases: SentVersion[] = [];
  for (const { templateId, version } of plain) {
    const ref = store.catalog.version(templateId, version)?.base ?? null;
    if (ref === null || known.has(store.identity(ref))) continue;
    known.add(store.identity(ref));
    bases.push({ ...nameOf(store, ref, false), ref });
  }
  return { stack, bases };
}

/**
 * Sends versions, and waits until the other side has them.
 * @param listing a file to be made meanwhile @returns how many objects were sent
 * @throws ByrefError 'unreachable', 'badInput'; what the other side says
 */
export async function sendVersions(
  store: Store,
  wire: Wire,
  versions: readonly SentVersion[],
  listing: string,
): Promise<number> {
  let objects = 0;
  for (const version of versions) {
    objects += await sendVersion(store, wire, version, listing);
    failpoint('move-version-sent');
  }
  return objects;
}

async function sendVersion(
  store: Store,
  wire: Wire,
  { ref, identity }: SentVersion,
  listing: string,
): Promise<number> {
  const fd = openSync(listing, 'w', 0o600);
  try {
    exportListing(store, ref, fd);
  } finally {
    closeSync(fd);
  }
  const row = store.catalog.version(ref.templateId, ref.version)?.base;
  const base = row === undefined || row === null ? null : store.identity(row);
  // Others may write meanwhile.
  return store.pause(async () => {
    await wire.send({ version: identity, base });
    await wire.sendAll(packed(createReadStream(listing) as AsyncIterable<Buffer>));
    rmSync(listing);
    const wanted = await lacking(wire);
    failpoint('move-objects-asked');
    if (wanted.length > 0) await wire.sendAll(packed(objectStream(store, wanted)));
    const { took } = await wire.receive();
    if (took !== identity) throw notUnderstood();
    return wanted.length;
  });
}

async function lacking(wire: Wire): Promise<WantedObject[]> {
  const wanted: WantedObject[] = [];
  for (;;) {
    const { lacks, more } = await wire.receive();
    if (!Array.isArray(lacks)) throw notUnderstood();
    for (const [id, from] of lacks as readonly (readonly [unknown, unknown])[]) {
      const isRight = typeof id === 'string' && OBJECT_ID.test(id) && Number.isSafeInteger(from);
      if (!isRight) throw notUnderstood();
      wanted.push({ id: id as ObjectId, from: from as number });
    }
    if (more !== true) return wanted;
  }
}

const notUnderstood = (): ByrefError =>
  new ByrefError(
    'badInput',
    'the other side answers something else than was asked',
    'Use the same byref on both machines.',
  );
