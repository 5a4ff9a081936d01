/**
 * The store: what all envs of a root share. Templates with their versions, the rows that say which
 * env is a stack of which templates, and the objects. Any number of processes read it, and store objects, at
 * once; only one at a time has the writer's lock.
 *
 *   await initRoot('/srv/byref');
 *   const store = await openStore('/srv/byref', { write: true });
 *   const env = store.createEnv({ name: 'web1', stack: ['debian-12', 'nginx@2'] });
 *   const layers = store.layers(store.resolveStack(env));
 *   layers.lookup(ROOT_INO, nameFromText('etc'));
 *   await store.close();
 */
import { ByrefError } from '../base/error.ts';
import type { Ino, Name } from '../base/ids.ts';
import type { EnvSettings } from '../codec/env-settings.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import type { EnvRow, StackEntry, TemplateRow, VersionRow } from '../codec/store-rows.ts';
import type { LowerTree } from '../driver/core/ports.ts';
import type { TreeDiff } from '../driver/core/tree-diff.ts';
import { type AccountClass, type AccountKind, accountNumber } from './accounts.ts';
import { Catalog } from './catalog.ts';
import { checkBases, checkStack, type StackPart } from './check-stack.ts';
import { composedStack, plainStack } from './compositions.ts';
import { dirAt } from './dir-at.ts';
import { dirPath } from './dir-path.ts';
import { EnvRows, type NewEnv } from './env-rows.ts';
import { type FileOrigin, fileOrigin } from './file-origin.ts';
import { identityOf, notedIdentity, noteIdentity } from './identities.ts';
import { recordsOf } from './link-rows.ts';
import { FORMAT, rootFormat, WITHOUT_SUMS } from './marker.ts';
import { ObjectFiles } from './objects.ts';
import { PatchRows } from './patch-rows.ts';
import { BRIEF, forever, type Patience } from './patience.ts';
import { keepTables } from './raw-tables.ts';
import { keepReserve } from './reserve.ts';
import { closeToUsers, metaDir, objectsDir } from './root.ts';
import { keepCopy } from './store-copies.ts';
import { FIRST, openTables, type Tables } from './tables.ts';
import { type StackRef, TreeCache } from './tree-cache.ts';
import { upgradeRoot } from './upgrade.ts';
import { takeWriterLock, type WriterLock } from './writer-lock.ts';

export type { EnvRow, StackEntry, TemplateRow, VersionRow } from '../codec/store-rows.ts';
export type { NewEnv } from './env-rows.ts';
export {
  backupDir,
  closeToUsers,
  envDir,
  envOfEntry,
  envsDir,
  initRoot,
  metaDir,
  mountDir,
  setupDir,
  usersDir,
} from './root.ts';
export type { StackRef } from './tree-cache.ts';

/** How a store is opened. */
export interface StoreOptions {
  /** True takes the writer's lock until the store is closed; 'on-demand' takes it only while writing() runs. */
  readonly write: boolean | 'on-demand';
  /** How long to wait for another writer before 'locked' is thrown; three seconds if it is not given. */
  readonly patience?: Patience;
  /** A path by which its files are opened, other than the root's own: a driver's, which is to hold whatever is mounted. */
  readonly at?: string;
}

/** True: what opens the store for reading does not keep others in this process from writing. */
let isShared = false;

/** Lets this process open the store for reading and for writing at once: LMDB opens it only once for all, in one of the two ways. */
export function openForAll(): void {
  isShared = true;
}

/**
 * Opens the store of a root. To be written, a root of an older format is upgraded first; reading changes nothing.
 * @throws ByrefError 'notFound' if `root` is not a byref root, 'locked' if another process is writing, 'badInput' if it is
 *   only to be read and has an older format: see upgradeRoot()
 */
export async function openStore(root: string, options: StoreOptions): Promise<Store> {
  const { write, patience = BRIEF, at = root } = options;
  const format = rootFormat(at);
  if (write !== false) await upgradeRoot(root, patience);
  else if (format < WITHOUT_SUMS) throw olderFormat(root, format);
  const lock = write === true ? await takeWriterLock(root, patience) : null;
  const tables = openTables(metaDir(at), { write: write !== false || isShared });
  const store = new Store(root, tables, lock, patience, at);
  if (lock !== null) tidy(store);
  return store;
}

/** Makes the error of an env that does not exist. */
export const noEnv = (nameOrId: string | number): ByrefError =>
  new ByrefError('notFound', `there is no env "${nameOrId}"`, 'See byref list.');

function olderFormat(root: string, format: number): ByrefError {
  const message = `${root} has the format ${format} of an older byref; this one reads ${FORMAT}`;
  return new ByrefError('badInput', message, 'Run byref list, which upgrades it.');
}

/**
 * Cleans up what no row refers to: directories that an older byref left open to users, and objects of an import
 * that was killed before its commit. Roots of an older byref get their reserve.
 */
function tidy({ root, objects }: Store): void {
  closeToUsers(root);
  objects.sweepUnfinished();
  keepReserve(root);
}

/** The part that all envs of a root share: templates, versions, objects, and the envs' rows. */
export class Store {
  /** The absolute path by which people and mounts name it. */
  readonly root: string;
  /** The path by which its files are opened; the root's own unless StoreOptions said another one. */
  readonly at: string;
  readonly catalog: Catalog;
  readonly objects: ObjectFiles;
  readonly patches: PatchRows;
  private readonly tables: Tables;
  private readonly envRows: EnvRows;
  private readonly cache: TreeCache;
  private readonly patience: Patience;
  private lock: WriterLock | null;

  constructor(
    root: string,
    tables: Tables,
    lock: WriterLock | null,
    patience: Patience = BRIEF,
    at: string = root,
  ) {
    this.root = root;
    this.at = at;
    this.tables = tables;
    keepTables(this, tables);
    this.lock = lock;
    this.patience = patience;
    this.catalog = new Catalog(tables);
    this.objects = new ObjectFiles(objectsDir(at), tables);
    this.patches = new PatchRows(tables);
    this.envRows = new EnvRows(tables, this.catalog);
    this.cache = new TreeCache(tables);
  }

  /**
   * Runs `work` in one transaction: all of its changes are made, or, if it throws, none. One that is called within
   * another is part of that. The store must be open for writing.
   */
  transaction<T>(work: () => T): T {
    return this.tables.transaction(work);
  }

  get writable(): boolean {
    return this.lock !== null;
  }

  /** Returns how many driver processes serve the envs of this root. */
  get shards(): number {
    return this.tables.number('shards') ?? 1;
  }

  template(name: string): TemplateRow | null {
    return this.catalog.byName(name);
  }

  /** Returns all templates of users, by name. */
  templates(): TemplateRow[] {
    return this.catalog.all();
  }

  /** Returns all versions of a template, oldest first. */
  versions(templateId: number): VersionRow[] {
    return this.catalog.versions(templateId);
  }

  /**
   * Adds an env in one transaction, which costs the same for any template. Its directory (envDir(root, id)) is
   * made by whoever first writes into it.
   * @param within what else must be done before the env exists; if it throws, the env does not exist
   * @throws ByrefError 'exists' for a name in use, 'notFound' for a template, 'usage' for a bad stack,
   *   'badInput' for templates that do not go together
   */
  createEnv(env: NewEnv, within: (row: EnvRow) => void = () => undefined): EnvRow {
    return this.envRows.create(env, this.stackOf(env), within);
  }

  /**
   * Refuses a name that a new env can't have.
   * @throws ByrefError 'usage' for a text that can't be a name, 'exists' for a name in use
   */
  refuseEnvName(name: string): void {
    this.envRows.refuseName(name);
  }

  /** Returns the stack that such an env would have. @throws ByrefError as createEnv */
  stackOf({ name, stack: refs }: NewEnv): StackEntry[] {
    const stack = this.envRows.stackOf(refs);
    this.checkStack(stack, this.refs(name, stack));
    return stack;
  }

  /** Resolves references to apps that are to be put on a stack. @throws ByrefError 'notFound', 'usage' */
  appEntries(refs: readonly string[]): StackEntry[] {
    return this.envRows.appsOf(refs);
  }

  /**
   * Refuses templates that do not go together at these versions.
   * @throws ByrefError 'badInput'
   */
  checkStack(entries: readonly StackEntry[], stack: readonly StackRef[]): void {
    const part = (ref: StackRef, i: number): StackPart => ({
      template: entries[i]?.template ?? '',
      templateId: ref.templateId,
      base: this.catalog.version(ref.templateId, ref.version)?.base ?? null,
      lower: this.lowerTree([ref]),
    });
    const parts = plainStack(stack).map(part);
    checkBases(parts, (id) => this.catalog.byId(id)?.name ?? `number ${id}`);
    checkStack(parts);
  }

  /** Returns an env by its name or its id; null if there is none. */
  env(nameOrId: string | number): EnvRow | null {
    return this.envRows.find(nameOrId);
  }

  /** Returns an env by its name or its id. @throws ByrefError 'notFound' */
  needEnv(nameOrId: string | number): EnvRow {
    const row = this.env(nameOrId);
    if (row !== null) return row;
    throw noEnv(nameOrId);
  }

  /** Replaces an env's row. Call it inside a transaction. */
  putEnv(row: EnvRow): void {
    this.envRows.put(row);
  }

  /** Returns all envs, oldest first. */
  envs(): EnvRow[] {
    return this.envRows.all();
  }

  /** Removes the env's row, if there is one, and those of its snapshots. The caller removes their directories. */
  removeEnv(id: number): void {
    this.envRows.remove(id);
  }

  /**
   * Returns true if the row of an env may be lost, and its directory must not be taken for one that a destroy left: the env may have
   * been made after the copy from which the store was restored, or rows are damaged.
   */
  mayBeLost(id: number): boolean {
    try {
      // A damaged key is another row's: then neither the env's row is found, nor those numbers.
      for (const name of ['meta', 'envs'] as const) this.tables.table(name).checkAll();
      const from = this.tables.number('lostEnvsFrom');
      return from !== null && id >= from && id < (this.tables.number('lostEnvsEnd') ?? 0);
    } catch {
      // Those numbers are damaged themselves.
      return true;
    }
  }

  /**
   * Notes, after the store was restored from a copy, that envs may have been made since, and gives none of their ids
   * out again. @param highest the highest id that has a directory
   */
  noteLostEnvs(highest: number): void {
    const { tables } = this;
    this.transaction(() => {
      const from = tables.number('nextEnv') ?? FIRST.nextEnv;
      if (highest < from) return;
      tables.setNumber('lostEnvsFrom', Math.min(from, tables.number('lostEnvsFrom') ?? from));
      tables.setNumber('lostEnvsEnd', highest + 1);
      tables.setNumber('nextEnv', highest + 1);
    });
  }

  /** Takes an id for an env whose directory is made before its row. */
  reserveEnv(): number {
    return this.envRows.reserve();
  }

  /** Adds an env with the stack of another one. @param id from reserveEnv() @throws ByrefError 'exists', 'usage' */
  createReserved(
    id: number,
    name: string,
    { stack }: Pick<EnvRow, 'stack'>,
    settings: EnvSettings,
  ): EnvRow {
    const set = (): void => this.envRows.putSettings(id, settings);
    return this.envRows.create({ name }, stack, set, id);
  }

  /** Returns the snapshots of an env, oldest first: rows of envs that are never mounted. */
  snapshots(env: number): EnvRow[] {
    return this.envRows.snapshots(env);
  }

  /** Returns the names of all snapshots, oldest first, by the ids of their envs. */
  snapshotNames(): ReadonlyMap<number, readonly string[]> {
    return this.envRows.snapshotNames();
  }

  /** Refuses a name that a new snapshot of an env can't have. @throws ByrefError 'usage', 'exists' */
  refuseSnapshotName(of: EnvRow, name: string): void {
    this.envRows.refuseSnapshot(of, name);
  }

  /** Adds a snapshot. @param id from reserveEnv() @throws ByrefError 'usage', 'exists' */
  createSnapshot(
    id: number,
    of: EnvRow,
    name: string,
    stack: readonly StackEntry[],
    settings: EnvSettings,
  ): EnvRow {
    return this.envRows.addSnapshot(id, of, name, stack, settings);
  }

  /**
   * Puts another env in the place of one, in one transaction; it has its name and its snapshots. The caller removes the directory of the
   * former one. @param id from reserveEnv()
   */
  replaceEnv(
    former: EnvRow,
    id: number,
    stack: readonly StackEntry[],
    settings: EnvSettings,
  ): EnvRow {
    return this.envRows.replace(former, id, stack, settings);
  }

  /** Gives an env another name. @throws ByrefError 'usage', 'exists' */
  renameEnv(row: EnvRow, name: string): EnvRow {
    return this.envRows.rename(row, name);
  }

  /** Returns how an env is started, and what it may use. */
  settings(id: number): EnvSettings {
    return this.envRows.settings(id);
  }

  /** Replaces the settings of an env, in a transaction of its own. */
  putSettings(id: number, settings: EnvSettings): void {
    this.transaction(() => this.envRows.putSettings(id, settings));
  }

  /**
   * Returns the versions that the env sees now: the OS template first, and their composition, if there is one,
   * on top.
   */
  resolveStack(env: EnvRow): StackRef[] {
    return this.composed(this.refs(env.name, env.stack));
  }

  /** Returns the same versions with the composition that exists for them now. */
  composed(stack: readonly StackRef[]): StackRef[] {
    return composedStack(this.catalog, stack);
  }

  /** Returns the versions that an env with such a stack would see, without a composition. */
  plainStack(env: Pick<EnvRow, 'name' | 'stack'>): StackRef[] {
    return this.refs(env.name, env.stack);
  }

  private refs(env: string, stack: readonly StackEntry[]): StackRef[] {
    return stack.map(({ templateId, template, pinned, canary }) => {
      const row = this.catalog.byId(templateId);
      if (row !== null) return { templateId, version: pinned ?? canary?.version ?? row.current };
      const message = `env ${env} refers to template ${template}, which is not in the store`;
      throw new ByrefError('corrupt', message, 'Restore the template, or destroy the env.');
    });
  }

  /** Returns the lower tree of a stack; one shared instance per distinct stack. */
  lowerTree(stack: readonly StackRef[]): LowerTree {
    return this.cache.lowerTree(stack);
  }

  /** Returns the tree diff between two stacks, one instance for all envs that make that change; cached. */
  diffStacks(from: readonly StackRef[], to: readonly StackRef[]): TreeDiff {
    return this.cache.change(from, to);
  }

  /**
   * Returns the identity of a version, in hex: see codec/tree-identity.ts. Null if none was noted of it, which is so if an older
   * byref added it.
   */
  notedIdentity({ templateId, version }: StackRef): string | null {
    return notedIdentity(this.tables, templateId, version);
  }

  /** Returns the identity of a version; reads all of the version if none was noted of it. */
  identity(ref: StackRef): string {
    return this.notedIdentity(ref) ?? identityOf(this.tables, this.cache.lowerTree([ref]));
  }

  /** Notes the identity of a version, in a transaction of its own. */
  noteIdentity(ref: StackRef): void {
    const { tables } = this;
    const identity = identityOf(tables, this.cache.lowerTree([ref]));
    this.transaction(() => noteIdentity(tables, ref.templateId, ref.version, identity));
  }

  /** Returns a template directory's path as text: "" for the root; null for a number that is no directory's. */
  dirPath(dir: Ino): string | null {
    return dirPath(this.tables, dir);
  }

  /** Returns the number of the directory at a path, given as names; a path that no template ever had gets one. */
  dirAt(path: readonly Name[]): Ino {
    return this.transaction(() => dirAt(this.tables, path));
  }

  /** Returns which template a file is from; null for a directory, and for a number that no template has. */
  fileOrigin(ino: Ino): FileOrigin | null {
    return fileOrigin(this.tables, ino);
  }

  /** Yields the records of all names in all versions of a template. */
  records(templateId: number): Iterable<InodeRecord> {
    return recordsOf(this.tables, templateId);
  }

  /** Returns the number of an app's account: see accounts.ts. Call it inside a transaction. */
  accountNumber(
    kind: AccountKind,
    name: string,
    of: AccountClass,
    avoid: ReadonlySet<number>,
  ): number {
    return accountNumber(this.tables, kind, name, of, avoid);
  }

  /** Returns object files in another directory, for objects that may never become the store's. */
  objectsAt(dir: string): ObjectFiles {
    return new ObjectFiles(dir, this.tables);
  }

  /** Makes later reads see all that other processes committed before this call. */
  refresh(): void {
    this.tables.refresh();
  }

  /** Returns how the user of this store waits for other processes before work that has not begun. */
  get waiting(): Patience {
    return this.patience;
  }

  /**
   * Runs `work` with the writer's lock; the store must be open for writing. It is for the end of long work,
   * which is not given up because others happen to write: it waits for the lock as long as it takes.
   */
  async writing<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.lock !== null) return work();
    this.lock = await takeWriterLock(this.root, forever(this.patience));
    try {
      this.refresh();
      tidy(this);
      return await work();
    } finally {
      this.letGo();
    }
  }

  /** Lets other writers in, when nothing more is written before the store is closed. */
  doneWriting(): void {
    this.letGo();
    this.refresh();
  }

  private letGo(): void {
    if (this.lock !== null) keepCopy(this.root);
    this.lock?.release();
    this.lock = null;
  }

  /** Lets other writers in while `work` runs. `work` may take long, and changes the store only through writing(). */
  async pause<T>(work: () => Promise<T>): Promise<T> {
    if (this.lock === null) return work();
    this.letGo();
    try {
      return await work();
    } finally {
      this.lock = await takeWriterLock(this.root, forever(this.patience));
      this.refresh();
    }
  }

  async close(): Promise<void> {
    await this.tables.close();
    this.letGo();
  }
}
