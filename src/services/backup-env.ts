/** Writes what an env is, and has of its own, as one stream: docs/internals/FORMAT-backup.md. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { failpoint } from '../base/failpoints.ts';
import { openGivenOutput } from '../base/given-files.ts';
import { LOST_DIR, PRIVATE_DIR, VOLUMES_DIR } from '../driver/delta/layout.ts';
import { readDelta } from '../driver/delta/read-delta.ts';
import { removeDelta } from '../driver/delta/remove-delta.ts';
import { type BaseBackup, readBase } from '../manager/backup/base-backup.ts';
import { type Described, describeDelta } from '../manager/backup/describe-delta.ts';
import {
  BACKUP_FORMAT,
  type BackupManifest,
  MANIFEST_FILE,
  OBJECTS_DIR,
  ROWS_FILE,
  type StackName,
  TEMPLATES_DIR,
} from '../manager/backup/manifest.ts';
import { intoFile, pack, type Sink } from '../manager/backup/pack.ts';
import { RefNames } from '../manager/backup/refs.ts';
import { Workplace } from '../manager/backup/workplace.ts';
import {
  type CopyHooks,
  copyAtRest,
  type EnvCopy,
  type StillHooks,
} from '../manager/envs/copy-at-rest.ts';
import { type FirstMount, passedOn } from '../manager/envs/first-mount/setup.ts';
import { MANAGED_NOTE } from '../manager/envs/managed-files.ts';
import { exportTemplate } from '../manager/templates/export.ts';
import { type EnvRow, envDir, type StackRef, type Store } from '../store/store.ts';

const STDOUT = 1;

/** What is to be in a backup. */
export interface BackupOptions {
  /** Where it is written; "-" is standard output. */
  readonly file: string;
  /** True: all versions of the env's stack come along. */
  readonly withTemplates: boolean;
  /** A backup of the env: of private files, this one has only those that changed since. null: it has all. */
  readonly base: string | null;
}

/** The outcome of backupEnv(). */
export interface EnvBackedUp {
  readonly env: number;
  readonly name: string;
  /** The name of the backup, which it has in it. */
  readonly backup: string;
  readonly file: string;
  /** Its size. */
  readonly bytes: number;
  /** How many files the env has of its own; and of these, how many are not in the backup but in the one that it builds on. */
  readonly files: number;
  readonly unchanged: number;
  /** For how long the env stood still, in milliseconds; null: it was stopped. */
  readonly frozenMs: number | null;
}

/**
 * Backs up an env, running or not, as of one moment. The store is open for writing.
 *
 * Crash windows. The env is copied to an id that no row has, and the copy moved to a workplace: what is left of the one is removed by the
 * next destroy or gc, of the other by the next backup or restore.
 * A file appears under its name when it is whole. The env goes on when this process ends.
 * @throws ByrefError 'busy' if the env's driver is gone, 'badInput' for a target that is no file, 'noSpace'
 */
export async function backupEnv(
  store: Store,
  row: EnvRow,
  { base, ...options }: BackupOptions,
  hooks: CopyHooks,
): Promise<EnvBackedUp> {
  const known = base === null ? null : await store.pause(() => readBase(base, row, hooks.signal));
  return writeBackup(store, row, { ...options, base: known }, hooks);
}

/** Does the same on a base that was read. */
export async function writeBackup(
  store: Store,
  row: EnvRow,
  { file, withTemplates, base }: Omit<BackupOptions, 'base'> & { readonly base: BaseBackup | null },
  hooks: CopyHooks,
): Promise<EnvBackedUp> {
  const output = file === '-' ? null : openGivenOutput(file, hooks.patience.tell);
  const sink = intoFile(output?.fd ?? STDOUT);
  const includes = (): boolean => withTemplates;
  try {
    const { sent } = await streamBackup(store, row, { includes, base, sink }, hooks);
    output?.finish();
    return { ...sent, file };
  } catch (error) {
    output?.abandon();
    throw error;
  }
}

/** What is in a backup, and who takes it. */
export interface StreamOptions {
  /** Tells whether a version of the env's stack comes along. */
  readonly includes: (identity: string) => boolean;
  readonly base: BaseBackup | null;
  readonly sink: Sink;
  /** The name that the backup is to have; a new one if not given. */
  readonly id?: string;
  /** False: volumes are left out. */
  readonly volumes?: boolean;
}

/** A backup that was passed on. */
export interface Streamed {
  readonly sent: Omit<EnvBackedUp, 'file'>;
  /** What its private files were, so that the next one can build on it. */
  readonly files: Pick<EnvCopy['files'], 'seen' | 'trustedMs'>;
}

/** Passes a backup of an env to somebody, as it is made. @throws as backupEnv() */
export async function streamBackup(
  store: Store,
  row: EnvRow,
  { includes, base, sink, id: name = newName(), volumes = true }: StreamOptions,
  hooks: StillHooks,
): Promise<Streamed> {
  const { root } = store;
  const firstMount = passedOn(root, row);
  const id = store.reserveEnv();
  const workplace = new Workplace(root, id);
  const directory = workplace.path;
  try {
    const { frozenMs, files } = await copyAtRest(
      ...([store, row, id, hooks] as const),
      ...([base?.isKnown, volumes] as const),
    );
    workplace.take(envDir(root, id));
    failpoint('backup-copied');
    const facts = { name, includes, firstMount, frozenMs, files, base: base?.id ?? null };
    const manifest = await describe(store, row, directory, facts);
    for (const name of files.known)
      rmSync(path.join(directory, PRIVATE_DIR, name), { force: true });
    failpoint('backup-described');
    const order = [MANIFEST_FILE, ROWS_FILE, TEMPLATES_DIR, OBJECTS_DIR, PRIVATE_DIR];
    const names = [...order, VOLUMES_DIR, LOST_DIR, MANAGED_NOTE].filter((name) =>
      existsSync(path.join(directory, name)),
    );
    // Others may write meanwhile.
    const bytes = await store.pause(() => pack(directory, names, sink, hooks.signal));
    failpoint('backup-packed');
    const sent = {
      ...{ env: row.id, name: row.name, backup: name, bytes },
      ...{ files: manifest.counts.files, unchanged: files.known.size, frozenMs },
    };
    return { sent, files };
  } finally {
    removeDelta(envDir(root, id));
    workplace.remove();
  }
}

const newName = (): string => randomBytes(16).toString('hex');

interface Facts extends EnvCopy {
  readonly name: string;
  readonly includes: StreamOptions['includes'];
  readonly firstMount: FirstMount | null;
  readonly base: string | null;
}

/** Writes the manifest, and all that it names and the copy does not have. */
async function describe(
  store: Store,
  row: EnvRow,
  directory: string,
  { name, includes, firstMount, frozenMs, files, base }: Facts,
): Promise<BackupManifest> {
  const refs = new RefNames(store, store.resolveStack(row));
  const view = await readDelta(directory);
  let described: Described;
  try {
    described = describeDelta(store, directory, view, refs, files);
  } finally {
    await view.close();
  }
  const { patches, ...counts } = described;
  const began = patches.map((patch) => [String(patch), store.patches.get(patch)?.startedMs ?? 0]);
  const manifest: BackupManifest = {
    format: BACKUP_FORMAT,
    id: name,
    madeMs: Date.now(),
    base,
    trustedMs: files.trustedMs,
    env: { name: row.name, createdMs: row.createdMs },
    settings: store.settings(row.id),
    firstMount,
    stack: stackNames(store, row, includes),
    versions: refs.versions,
    patches: Object.fromEntries(began) as Record<string, number>,
    counts,
    frozenMs,
  };
  const templates = manifest.stack.filter(({ file }) => file !== null);
  if (templates.length > 0) mkdirSync(path.join(directory, TEMPLATES_DIR), { mode: 0o700 });
  for (const { template, version, file } of templates)
    exportTemplate(store, `${template}@${version}`, path.join(directory, file!));
  writeFileSync(path.join(directory, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`, {
    mode: 0o600,
  });
  return manifest;
}

/** Names the versions of an env's stack. @param includes tells which of them come along */
export const stackNames = (
  store: Store,
  row: EnvRow,
  includes: StreamOptions['includes'],
): StackName[] =>
  store.plainStack(row).map((ref, i) => {
    const name = nameOf(store, ref, row.stack[i]?.pinned === null);
    const file = includes(name.identity) ? path.join(TEMPLATES_DIR, `${i}.tar`) : null;
    return { ...name, file };
  });

/** Names a version. */
export function nameOf(store: Store, ref: StackRef, follows: boolean): StackName {
  const template = store.catalog.byId(ref.templateId)!;
  const version = store.catalog.version(ref.templateId, ref.version)!;
  return {
    template: template.name,
    version: ref.version,
    identity: store.identity(ref),
    kind: template.kind === 'app' ? 'app' : 'os',
    label: version.label,
    follows,
    file: null,
    sharedPatterns: template.sharedPatterns,
    config: version.config,
  };
}
