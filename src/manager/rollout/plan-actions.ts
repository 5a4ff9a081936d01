/**
 * Plans what a patch does to the envs' own files. Actions are planned before the commit, kept in the patch's record, and told
 * to drivers.
 */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BytePath, type Ino, type Name, pathFromText, pathToText } from '../../base/ids.ts';
import { isReg } from '../../base/mode.ts';
import { isNoSpace } from '../../base/no-space.ts';
import { DATA_NONE, DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import type { FileAction, PatchRecord, PolicyAction } from '../../codec/patch-record.ts';
import { touchedOnly } from '../../driver/core/follow.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { DiffEntry } from '../../driver/core/tree-diff.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import type { KeyedFormat } from '../merge/format.ts';
import { generatedBy } from '../merge/generated.ts';
import { registryFormat } from '../merge/table.ts';
import { seenFile, sha256 } from '../packages/same-file.ts';
import { openView, privateFile } from './meets.ts';
import {
  EMPTY_FILE,
  MERGED_BYTES_MAX,
  type Merge,
  type MergeContents,
  mergeByKey,
  mergeTexts,
} from './merge.ts';
import { isPackageRecord } from './policy.ts';

/** An env's own file under a name that a patch changes. */
export interface OwnFile {
  readonly change: DiffEntry;
  readonly own: InodeRecord;
  /** Its absolute path, as a binary string. */
  readonly bytes: BytePath;
  readonly action: PolicyAction;
  /** The name that its merge gets in the env's directory, if one is made. */
  readonly file: string;
}

/** Changes the three sides of a merge by key before they are merged. */
export type AdjustMerge = (format: KeyedFormat, contents: MergeContents) => MergeContents;

/**
 * Plans what a patch does to one own file; null: the file stays as it is. Writes a merge into the env's directory, and
 * changes nothing else.
 * @param adjust changes what is merged of a registry file
 */
export async function planAction(
  store: Store,
  row: EnvRow,
  wanted: OwnFile,
  adjust: AdjustMerge,
): Promise<FileAction | null> {
  const { change, own, bytes, action, file } = wanted;
  const { dir, name } = change;
  const base = { path: pathToText(bytes), dir, name, ino: own.ino, done: false };
  if (action === 'take' && own.ino === change.is?.ino) {
    const why = 'the env changed this very version of it';
    return { ...base, what: 'conflict', why, done: true };
  }
  if (action === 'take') return { ...base, what: 'taken' };
  if (action !== 'merge') {
    const command = isReg(own.mode) ? generatedBy(bytes) : null;
    if (command === null) return null;
    return { ...base, what: 'conflict', why: `run "${command}" in the env`, done: true };
  }
  const seen = seenFile(privateFile(store, row, own.ino));
  const merge = await mergeOf(store, row, wanted, adjust).catch(asConflict);
  if (merge === null) return null;
  if ('conflict' in merge) return { ...base, what: 'conflict', why: merge.conflict, done: true };
  const target = path.join(envDir(store.root, row.id), file);
  writeDurably(target, merge.text);
  const merged = { ino: 0, sha256: await sha256(target) };
  const why = merge.kept === undefined ? {} : { why: merge.kept };
  const what = isPackageRecord(bytes) ? 'updated' : 'merged';
  return { ...base, what, file, merged, ...why, ...(seen === null ? {} : { seen }) };
}

/** Makes a conflict of a read error, which is one env's trouble. Throws what concerns everybody: a full disk, or a bug. */
function asConflict(error: unknown): Merge {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  if (isNoSpace(error) || syscall === undefined) throw error;
  return { conflict: `it can’t be read: ${code}` };
}

/** Merges the file by key if it is a registry file, else as text. Null: the result would equal what the env has. */
async function mergeOf(
  store: Store,
  row: EnvRow,
  { own, change: { was, is }, bytes: name }: OwnFile,
  adjust: AdjustMerge,
): Promise<Merge | null> {
  const format = registryFormat(name);
  if (is === null) return { conflict: 'the template has it no more' };
  if (![own, was ?? is, is].every(({ mode }) => isReg(mode)))
    return { conflict: 'it is no regular file' };
  if (format !== null && own.nlink === 1) {
    const ours =
      own.data === DATA_PRIVATE ? privateFile(store, row, own.ino) : contentOf(store, own);
    const base = was === null ? null : contentOf(store, was);
    const theirs = contentOf(store, is);
    return mergeByKey(format, name, { ours, base, theirs }, (each) => adjust(format, each));
  }
  if (was === null) return { conflict: 'the template did not have it before' };
  if (own.data !== DATA_PRIVATE) return { conflict: 'the env changed only its attributes' };
  if (own.nlink > 1) return { conflict: 'the env has it under several names' };
  const ours = privateFile(store, row, own.ino);
  return mergeTexts(ours, contentOf(store, was), contentOf(store, is));
}

const contentOf = (store: Store, { data, object }: InodeRecord): string =>
  data === DATA_NONE || object === '' ? EMPTY_FILE : store.objects.path(object);

/** Writes a file and syncs it, so that it is on disk before anything names it. */
export function writeDurably(file: string, bytes: Buffer): void {
  const fd = openSync(file, 'w', 0o600);
  writeFileSync(fd, bytes);
  fsyncSync(fd);
  closeSync(fd);
}

/**
 * Plans what a rollback puts back in an env: all that these patches set aside there, the last patch first. A merge stays
 * if the env, or a patch of another template, has changed it since; so does any file made under the name.
 */
export async function planRestores(
  store: Store,
  row: EnvRow,
  undone: readonly PatchRecord[],
): Promise<FileAction[]> {
  const view = await openView(store, row);
  if (view === null) return [];
  const acts: FileAction[] = [];
  const lower = store.lowerTree(store.resolveStack(row));
  /** The inodes that names will have once the actions planned so far have put something back. */
  const put = new Map<string, number>();
  try {
    for (const record of undone) {
      const env = record.envs.find(({ id }) => id === row.id);
      for (const act of env?.acts ?? []) {
        if (!act.done || (act.what !== 'taken' && act.what !== 'merged')) continue;
        // Older builds set aside dpkg's records too. These say what is installed, so they are merged instead.
        if (isPackageRecord(pathFromText(act.path)) || act.package !== undefined) continue;
        const place = `${act.dir} ${act.name}`;
        const own = put.get(place) ?? ownFile(view, lower, act);
        const restore = await planRestore(store, row, act, { patch: record.id, own });
        if (restore.what === 'restored') put.set(place, act.ino);
        acts.push(restore);
      }
    }
  } finally {
    await view.close();
  }
  return acts;
}

/** Returns the env's inode under a name; 0 if it has none there, or has only set attributes of the template's. */
function ownFile(view: DeltaView, lower: LowerTree, { dir, name }: FileAction): number {
  const place = { dir: dir as Ino, name: name as Name };
  const isTouched = touchedOnly({ delta: view, lower }, { ...place, was: null, is: null }) !== null;
  return isTouched ? 0 : (view.name(place.dir, place.name)?.ino ?? 0);
}

/** @param own the env's inode under the name at that point; 0: it has none */
async function planRestore(
  store: Store,
  row: EnvRow,
  { path: shown, dir, name, ino, merged }: FileAction,
  { patch, own }: { readonly patch: number; readonly own: number },
): Promise<FileAction> {
  const base = { path: shown, dir, name, ino, patch, ...(merged === undefined ? {} : { merged }) };
  // It was restored already, by a process that was killed before it could record that.
  if (own === ino) return { ...base, what: 'restored', done: true };
  if (own !== (merged?.ino ?? 0)) return { ...base, what: 'changed', done: true };
  if (merged === undefined) return { ...base, what: 'restored', done: false };
  const file = privateFile(store, row, merged.ino as Ino);
  const seen = seenFile(file);
  // A larger file can't be one of our merges.
  const readable = seen !== null && seen.size <= MERGED_BYTES_MAX;
  const same = readable && (await sha256(file)) === merged.sha256;
  if (!same) return { ...base, what: 'changed', done: true };
  return { ...base, what: 'restored', seen, done: false };
}
