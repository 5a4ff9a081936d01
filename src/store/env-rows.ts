/** Reads and writes the rows of envs: a name, a stack of templates, a shard. A new env consists of nothing else. */
import { ByrefError } from '../base/error.ts';
import {
  decodeSettings,
  type EnvSettings,
  encodeSettings,
  NO_SETTINGS,
} from '../codec/env-settings.ts';
import { decodeEnv, type EnvRow, encodeEnv, type StackEntry } from '../codec/store-rows.ts';
import type { Catalog } from './catalog.ts';
import { idKey, textKey } from './keys.ts';
import { checkName, snapshotIn, snapshotRow } from './names.ts';
import type { Tables } from './tables.ts';

/** The description of an env to be made. */
export interface NewEnv {
  readonly name: string;
  /** References (NAME or NAME@VERSION): the OS template first, then the app templates upwards. */
  readonly stack: readonly string[];
  /** The driver process that serves it; assigned round robin if it is not given. */
  readonly shard?: number;
}

/** The rows of all envs in one store. */
export class EnvRows {
  private readonly tables: Tables;
  private readonly catalog: Catalog;

  constructor(tables: Tables, catalog: Catalog) {
    this.tables = tables;
    this.catalog = catalog;
  }

  /**
   * Adds an env in one transaction, at the same cost for any template.
   * @param within what else must be done before the env exists; if it throws, the env does not exist
   * @param reserved its id, from reserve()
   * @throws ByrefError 'exists', 'usage'
   */
  create(
    env: Omit<NewEnv, 'stack'>,
    stack: readonly StackEntry[],
    within: (row: EnvRow) => void,
    reserved: number | null = null,
  ): EnvRow {
    return this.tables.transaction(() => {
      this.refuseName(env.name);
      const id = reserved ?? this.tables.take('nextEnv');
      const shard = env.shard ?? (id - 1) % (this.tables.number('shards') ?? 1);
      const row: EnvRow = { id, name: env.name, stack, createdMs: Date.now(), shard };
      this.add(row);
      within(row);
      return row;
    });
  }

  private add(row: EnvRow): void {
    this.put(row);
    this.tables.table('envNames').putSync(textKey(row.name), idKey(row.id));
  }

  /**
   * Adds the row of a snapshot: an env that is never mounted, under a name that no env has.
   * @param id from reserve()
   * @throws ByrefError 'exists', 'usage'
   */
  addSnapshot(
    id: number,
    of: EnvRow,
    name: string,
    stack: readonly StackEntry[],
    settings: EnvSettings,
  ): EnvRow {
    return this.tables.transaction(() => {
      this.refuseSnapshot(of, name);
      const row = {
        ...{ id, name: snapshotRow(of.id, name), stack },
        ...{ createdMs: Date.now(), shard: of.shard },
      };
      this.add(row);
      this.putSettings(id, settings);
      return row;
    });
  }

  /** Refuses a name that a new snapshot can't have. @throws ByrefError 'usage', 'exists' */
  refuseSnapshot(of: EnvRow, name: string): void {
    checkName('snapshot', name);
    if (this.tables.byText('envNames', snapshotRow(of.id, name)) === undefined) return;
    const hint = `Choose another name, or remove that one: byref snapshot rm ${of.name} ${name}`;
    throw new ByrefError('exists', `${of.name} has a snapshot "${name}" already`, hint);
  }

  /** Returns the rows of an env's snapshots, oldest first. */
  snapshots(env: number): EnvRow[] {
    const start = textKey(snapshotRow(env, ''));
    const end = Buffer.from(start);
    end[end.length - 1]!++;
    const names = this.tables.table('envNames').getRange({ start, end });
    return [...names]
      .flatMap(({ key }) => this.find(key.toString('utf8')) ?? [])
      .sort((a, b) => a.id - b.id);
  }

  /** Returns the names of all snapshots, oldest first, by the ids of their envs. For many envs, one look is quicker than one for each. */
  snapshotNames(): ReadonlyMap<number, readonly string[]> {
    const found = new Map<number, { id: number; name: string }[]>();
    for (const { key, value } of this.tables.table('envNames').getRange({})) {
      const snapshot = snapshotIn(key.toString('utf8'));
      if (snapshot === null) continue;
      const one = { id: value.readUInt32BE(0), name: snapshot.name };
      found.set(snapshot.env, [...(found.get(snapshot.env) ?? []), one]);
    }
    const ordered = (all: { id: number; name: string }[]): string[] =>
      all.sort((a, b) => a.id - b.id).map(({ name }) => name);
    return new Map([...found].map(([env, all]) => [env, ordered(all)]));
  }

  /**
   * Puts another env in the place of one: under its name, with its snapshots, and with an id from reserve(). What is left of the former
   * one is its directory.
   */
  replace(former: EnvRow, id: number, stack: readonly StackEntry[], settings: EnvSettings): EnvRow {
    return this.tables.transaction(() => {
      for (const row of this.snapshots(former.id))
        this.moveName(row, snapshotRow(id, snapshotIn(row.name)!.name));
      this.remove(former.id);
      const row = { ...former, id, stack };
      this.add(row);
      this.putSettings(id, settings);
      return row;
    });
  }

  /** Takes an id that no other env will have, in a transaction of its own. */
  reserve(): number {
    return this.tables.transaction(() => this.tables.take('nextEnv'));
  }

  /**
   * Refuses a name that a new env can't have.
   * @throws ByrefError 'usage' for a text that can't be a name, 'exists' for a name in use
   */
  refuseName(name: string): void {
    checkName('env', name);
    if (this.tables.byText('envNames', name) === undefined) return;
    const hint = 'Choose another name, or destroy that one first.';
    throw new ByrefError('exists', `there is an env "${name}" already`, hint);
  }

  /** Resolves references to the stack of an env. @throws ByrefError 'notFound', 'usage' */
  stackOf(refs: readonly string[]): StackEntry[] {
    const stack = refs.map((ref) => this.catalog.resolve(ref));
    stack.forEach(({ template }, i) => {
      const expected = i === 0 ? 'os' : 'app';
      if (template.kind === expected) return;
      const message = `${template.name} is of kind ${template.kind}, and ${expected} is needed here`;
      throw new ByrefError(
        'usage',
        message,
        'An env has one --os template, and --app templates on it.',
      );
    });
    const ids = new Set(stack.map(({ template }) => template.id));
    if (ids.size < stack.length || stack.length === 0) {
      const message = stack.length === 0 ? 'an env needs a template' : 'a template is named twice';
      throw new ByrefError('usage', message, 'Name one OS template and each app template once.');
    }
    return stack.map(entryOf);
  }

  /** Resolves references to apps that are to be put on a stack. @throws ByrefError 'notFound', 'usage' */
  appsOf(refs: readonly string[]): StackEntry[] {
    return refs.map((ref) => {
      const found = this.catalog.resolve(ref);
      if (found.template.kind === 'app') return entryOf(found);
      const message = `${found.template.name} is an OS template`;
      throw new ByrefError('usage', message, 'An env has one, from its creation on. Name apps.');
    });
  }

  /** Returns an env by its name or, if no env has that name, by its id. */
  find(nameOrId: string | number): EnvRow | null {
    const byName = this.tables.byText('envNames', String(nameOrId));
    const key =
      byName ?? (/^\d{1,9}$/.test(String(nameOrId)) ? idKey(Number(nameOrId)) : undefined);
    const row = key && this.tables.table('envs').get(key);
    return row === undefined ? null : decodeEnv(row);
  }

  /** Returns all envs in order of creation. */
  all(): EnvRow[] {
    return [...this.tables.table('envs').getRange()].map(({ value }) => decodeEnv(value));
  }

  /** Replaces the row. Call it inside a transaction. */
  put(row: EnvRow): void {
    this.tables.table('envs').putSync(idKey(row.id), encodeEnv(row));
  }

  /** Gives an env another name. @throws as refuseName() */
  rename(row: EnvRow, name: string): EnvRow {
    return this.tables.transaction(() => {
      this.refuseName(name);
      return this.moveName(row, name);
    });
  }

  private moveName(row: EnvRow, name: string): EnvRow {
    const renamed = { ...row, name };
    this.tables.table('envNames').removeSync(textKey(row.name));
    this.add(renamed);
    return renamed;
  }

  /** Removes the row, if there is one, and those of its snapshots, in one transaction. */
  remove(id: number): void {
    this.tables.transaction(() => {
      const row = this.find(id);
      if (row === null) return;
      for (const snapshot of this.snapshots(id)) this.remove(snapshot.id);
      this.tables.table('envNames').removeSync(textKey(row.name));
      this.tables.table('envs').removeSync(idKey(id));
      this.tables.table('settings').removeSync(idKey(id));
    });
  }

  /** Returns the settings of an env; those of one that nothing was set for if it has none. */
  settings(id: number): EnvSettings {
    const row = this.tables.find('settings')?.get(idKey(id));
    return row === undefined ? NO_SETTINGS : decodeSettings(row);
  }

  /** Replaces the settings of an env. Call it inside a transaction. */
  putSettings(id: number, settings: EnvSettings): void {
    this.tables.table('settings').putSync(idKey(id), encodeSettings(settings));
  }
}

const entryOf = ({ template, version, pinned }: ReturnType<Catalog['resolve']>): StackEntry => ({
  templateId: template.id,
  template: template.name,
  pinned: pinned ? version.number : null,
  canary: null,
});
