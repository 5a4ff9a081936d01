/** A root that goes with the test, and what a template holds as plain data. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { InodeRecord } from '../../../src/codec/inode-record.ts';
import { versionTree, walkVersion } from '../../../src/manager/templates/walk-version.ts';
import { initRoot, openStore, type Store } from '../../../src/store/store.ts';
import { atEnd, scratchDir } from '../machine/scratch-dir.ts';

/** Makes a root, open for writing until the test ends. */
export async function scratchStore(dir = path.join(scratchDir(), 'root')): Promise<Store> {
  await initRoot(dir);
  return reopen(dir);
}

/** Opens a root for writing until the test ends. */
export async function reopen(dir: string): Promise<Store> {
  const store = await openStore(dir, { write: true });
  atEnd(() => store.close());
  return store;
}

export type Shown = Omit<
  InodeRecord,
  'ino' | 'atime' | 'atimeNs' | 'ctime' | 'ctimeNs' | 'parent' | 'blocks' | 'xattrs'
> & { links: string; xattrs: Record<string, string> };

/** Every path of a version with what must survive any way in: hard links by their first path. */
export function contents(store: Store, ref: string): Map<string, Shown> {
  const all = new Map<string, Shown>();
  const first = new Map<number, string>();
  for (const { path: at, record } of walkVersion(versionTree(store, ref))) {
    const { ino, atime, atimeNs, ctime, ctimeNs, parent, blocks, xattrs, ...rest } = record;
    if (!first.has(ino)) first.set(ino, at);
    const shown = [...(xattrs ?? [])].map(([name, value]) => [name, value.toString('hex')]);
    all.set(at, {
      ...rest,
      links: first.get(ino) ?? '',
      xattrs: Object.fromEntries(shown) as Record<string, string>,
    });
  }
  return all;
}

/** Every object file's name, and what is in objects/tmp. */
export function objectFiles(store: Store): string[] {
  return (readdirSync(store.objects.dir, { recursive: true }) as string[])
    .filter((name) => name.includes('/'))
    .sort();
}
