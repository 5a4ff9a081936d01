/** Makes an env of a backup: docs/internals/FORMAT-backup.md. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import type { StackEntry } from '../codec/store-rows.ts';
import { LOST_DIR, VOLUMES_DIR } from '../driver/delta/layout.ts';
import { removeDelta } from '../driver/delta/remove-delta.ts';
import { baseBeside } from '../manager/backup/backup-dir.ts';
import { filesIn, GivenBase, unpackGiven } from '../manager/backup/given-backup.ts';
import type { BackupManifest, StackName, VersionName } from '../manager/backup/manifest.ts';
import { rebuildDelta } from '../manager/backup/rebuild.ts';
import { Workplace } from '../manager/backup/workplace.ts';
import { NOTHING_TOLD, removeSetup, writeSetup } from '../manager/envs/first-mount/setup.ts';
import { MANAGED_NOTE } from '../manager/envs/managed-files.ts';
import { entryAt, pinnedNotes } from '../manager/envs/stack-of-moment.ts';
import { envState } from '../manager/envs/state.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import { importTemplate } from '../manager/templates/import.ts';
import { syncFileSystem } from '../native/sync-file-system.ts';
import { refuseScratchName } from '../store/names.ts';
import { type EnvRow, envDir, type StackRef, type Store } from '../store/store.ts';
import { composeStack } from './compose-stack.ts';

/** What is to become of a backup. */
export interface RestoreOptions {
  /** Where it is; "-" is standard input. Or what brings it. */
  readonly file: string | Readable;
  /** The backups that it builds on, in any order. */
  readonly bases: readonly string[];
  /** The name of the env; null: the one that it had. */
  readonly name: string | null;
  /** True: machine id, ssh host keys and ports stay; else the first mount gives it others, and the ports are free. */
  readonly sameIdentity: boolean;
}

/** The caller's part while an env is restored. */
export interface RestoreHooks {
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal;
  /** Hears sentences about what the env does not have, or has otherwise. */
  readonly note: (text: string) => void;
}

/** An env that was made of a backup. */
export interface EnvRestored extends EnvSummary {
  /** The name of the backup. */
  readonly backup: string;
}

/**
 * Makes an env of a backup. All of it is checked, and unpacked beside the envs, before anything is made. The store is open for
 * writing.
 *
 * Crash windows. What is unpacked is removed by the next backup or restore; a directory of an env without a row, by the next
 * destroy or gc. Versions that came along are whole, or not there. The env's row comes last.
 * @throws ByrefError 'notFound' for a version that is not here, 'exists', 'badInput', 'corrupt', 'noSpace'
 */
export async function restoreEnv(
  store: Store,
  { file, bases, name, sameIdentity }: RestoreOptions,
  { signal, note }: RestoreHooks,
): Promise<EnvRestored> {
  if (name !== null) refuseScratchName(name);
  return restoreAs(store, { file, bases, name, sameIdentity }, { signal, note });
}

/** Does the same, also under a name that people can't give, and on files that came before. */
export async function restoreAs(
  store: Store,
  options: RestoreOptions & { readonly held?: HeldFiles },
  { signal, note }: RestoreHooks,
): Promise<EnvRestored> {
  const { name, sameIdentity } = options;
  if (name !== null) store.refuseEnvName(name);
  return unpacked(store, options, signal, async ({ manifest, place, bases, keepsBases }) => {
    const own = name ?? manifest.env.name;
    store.refuseEnvName(own);
    if (name === null) refuseScratchName(own);
    const stack = await stackOf(store, manifest, place, signal);
    const row = await make(store, own, stack, {
      ...{ manifest, place, bases, keepsBases, sameIdentity, note },
    });
    return { ...summaryOf(await envState(store, row)), backup: manifest.id };
  });
}

interface Unpacked {
  readonly manifest: BackupManifest;
  /** Where it is unpacked. */
  readonly place: string;
  /** Where the backups are unpacked that it builds on, the newest first. */
  readonly bases: readonly string[];
  /** True: what is taken from there stays there, too. */
  readonly keepsBases: boolean;
}

/** The private files of the backup that one builds on: they stay where they are, until the env is whole for certain. */
export interface HeldFiles {
  /** The name of that backup. */
  readonly id: string;
  readonly directory: string;
}

/** Checks a backup, unpacks it, and passes it to `work`; removes what was unpacked then. */
async function unpacked<T>(
  store: Store,
  { file, bases, held }: RestoreOptions & { readonly held?: HeldFiles },
  signal: AbortSignal,
  work: (unpacked: Unpacked) => Promise<T>,
): Promise<T> {
  const { root } = store;
  const workplace = new Workplace(root, store.reserveEnv());
  try {
    // Others may write meanwhile.
    const found = await store.pause(async () => {
      workplace.make();
      const manifest = await unpackGiven(file, workplace.path, signal);
      const chain =
        held === undefined
          ? await unpackBases(file, manifest, bases, workplace.path, signal)
          : heldFor(manifest, held);
      failpoint('restore-unpacked');
      const keepsBases = held !== undefined;
      return { manifest, place: workplace.path, bases: chain, keepsBases };
    });
    return await work(found);
  } finally {
    workplace.remove();
  }
}

function heldFor({ base }: BackupManifest, { id, directory }: HeldFiles): string[] {
  if (base === null) return [];
  if (base === id) return [directory];
  throw lacksBase('what was received', base);
}

/**
 * Unpacks what is needed of the backups that one builds on, and returns where, the newest first. One that was not named is looked for beside
 * the one that builds on it: see baseBeside().
 * @throws ByrefError 'usage' if one of them is not found
 */
async function unpackBases(
  file: string | Readable,
  { base }: BackupManifest,
  files: readonly string[],
  place: string,
  signal: AbortSignal,
): Promise<string[]> {
  const named = typeof file === 'string' ? file : 'what was received';
  const given = new Map<string, { readonly file: string; readonly base: GivenBase }>();
  let count = 0;
  const open = async (each: string): Promise<void> => {
    const directory = path.join(place, `base-${count++}`);
    mkdirSync(directory, { mode: 0o700 });
    const opened = await GivenBase.open(each, directory, signal);
    if (given.has(opened.manifest.id)) opened.close();
    else given.set(opened.manifest.id, { file: each, base: opened });
  };
  try {
    for (const each of files) await open(each);
    const chain: GivenBase[] = [];
    for (let [from, id] = [named, base]; id !== null; ) {
      const beside = given.has(id) ? null : baseBeside(from);
      if (beside !== null) await open(beside);
      const next = given.get(id);
      // One that builds on itself was not made by byref.
      if (next === undefined || chain.includes(next.base)) throw lacksBase(named, id);
      chain.push(next.base);
      [from, id] = [next.file, next.base.manifest.base];
    }
    const wanted = new Set<string>();
    for await (const { name, inBase } of filesIn(place)) if (inBase) wanted.add(name);
    for (const each of chain) await each.unpackFiles(wanted, signal);
    return chain.map(({ directory }) => directory);
  } finally {
    for (const { base: each } of given.values()) each.close();
  }
}

const lacksBase = (file: string, id: string): ByrefError =>
  new ByrefError(
    'usage',
    `${file} has only what changed since the backup ${id}`,
    'Name that, too, and the one that it builds on itself, if there is one: --base FILE. byref backup verify FILE says which backup a file is.',
  );

/** Finds the versions of the stack by what they show, and imports those that came along and are not here. */
async function stackOf(
  store: Store,
  manifest: BackupManifest,
  place: string,
  signal: AbortSignal,
): Promise<StackEntry[]> {
  const missing = manifest.stack.filter((each) => findVersion(store, each) === null);
  const without = missing.filter(({ file }) => file === null);
  if (without.length > 0) throw notHere(without);
  await store.pause(async () => {
    for (const each of missing) await bring(store, each, place);
  });
  const stack = manifest.stack.map((each) =>
    entryAt(store, findVersion(store, each)!, each.follows),
  );
  const versions = (): StackRef[] => store.plainStack({ name: manifest.env.name, stack });
  store.checkStack(stack, versions());
  await composeStack(store, versions, signal);
  return stack;
}

function notHere(versions: readonly VersionName[]): ByrefError {
  const named = versions.map(
    ({ template, version, identity }) =>
      `${template}@${version} (identity ${identity.slice(0, 16)}...)`,
  );
  const message = `no template here has what the env was made of: ${named.join(', ')}`;
  const hint = 'Import it here, or make the backup with --with-templates. Nothing was made.';
  return new ByrefError('notFound', message, hint);
}

async function bring(store: Store, each: StackName, place: string): Promise<void> {
  const { template, kind, label, sharedPatterns, config, file } = each;
  const archive = path.join(place, path.normalize(`/${file}`));
  const note = 'came with a backup';
  const name = freeName(store, each);
  await importTemplate(store, name, archive, { kind, label, note, sharedPatterns, config });
  store.refresh();
  if (findVersion(store, each) !== null) return;
  const message = `${template}@${each.version} did not come as it was: it shows something else here`;
  throw new ByrefError('corrupt', message, `See byref template show ${name}.`);
}

/** The template's name; another one if a template of another kind has it. */
export function freeName(store: Store, { template, kind }: StackName): string {
  const known = store.template(template);
  return known === null || known.kind === kind ? template : `${template}-${kind}`;
}

/** Finds a version that shows the same: of the template of that name, or of any other one. */
export function findVersion(store: Store, { template, identity }: VersionName): StackRef | null {
  const all = store.templates();
  for (const row of [...all.filter(({ name }) => name === template), ...all])
    for (const { number } of store.versions(row.id)) {
      const ref = { templateId: row.id, version: number };
      if (store.identity(ref) === identity) return ref;
    }
  return null;
}

interface Making extends Unpacked {
  readonly sameIdentity: boolean;
  readonly note: (text: string) => void;
}

async function make(
  store: Store,
  name: string,
  stack: readonly StackEntry[],
  { manifest, place, bases, keepsBases, sameIdentity, note }: Making,
): Promise<EnvRow> {
  const { root } = store;
  const id = store.reserveEnv();
  const directory = envDir(root, id);
  try {
    const versions = manifest.versions.map((each) => {
      const found = findVersion(store, each);
      return found === null ? null : store.lowerTree([found]);
    });
    const refs = store.composed(store.plainStack({ name, stack }));
    const leftAside = await rebuildDelta(store, {
      ...{ unpacked: place, bases, keepsBases, directory, lower: store.lowerTree(refs), versions },
      isKnownPatch: (patch) =>
        store.patches.get(patch)?.startedMs === manifest.patches[String(patch)],
    });
    for (const other of [VOLUMES_DIR, LOST_DIR, MANAGED_NOTE])
      if (existsSync(path.join(place, other)))
        renameSync(path.join(place, other), path.join(directory, other));
    const failed = await syncFileSystem(directory);
    if (failed < 0) throw new Error(`${directory} can't be put on disk: errno ${-failed}`);
    failpoint('restore-made');
    const told = manifest.firstMount ?? (sameIdentity ? null : NOTHING_TOLD);
    if (told !== null) writeSetup(root, id, sameIdentity ? told : { ...told, hostname: null });
    failpoint('restore-set-up');
    tell(manifest, stack, leftAside, sameIdentity, note);
    const ports = sameIdentity ? manifest.settings.ports : [];
    return store.createReserved(id, name, { stack }, { ...manifest.settings, ports });
  } catch (error) {
    removeSetup(root, id);
    removeDelta(directory);
    throw error;
  }
}

function tell(
  { stack: names, settings }: BackupManifest,
  stack: readonly StackEntry[],
  leftAside: number,
  sameIdentity: boolean,
  note: (text: string) => void,
): void {
  const followed = names.map(({ follows }) => follows);
  for (const text of pinnedNotes(stack, followed)) note(text);
  if (leftAside > 0)
    note(`${leftAside} files that patches of another root had set aside stay behind`);
  if (settings.ports.length > 0 && !sameIdentity)
    note(`it has none of the ports that it had: ${settings.ports.join(', ')}`);
}
