/** Reads and writes the rows of templates and their versions, and resolves NAME and NAME@VERSION. */
import { ByrefError } from '../base/error.ts';
import {
  decodeTemplate,
  decodeVersion,
  encodeTemplate,
  encodeVersion,
  type TemplateRow,
  type VersionBase,
  type VersionRow,
} from '../codec/store-rows.ts';
import { forgetIdentity } from './identities.ts';
import { idKey, isId, textKey, versionKey } from './keys.ts';
import { parseTemplateRef } from './names.ts';
import type { Tables } from './tables.ts';

/** The rows of all templates and versions in one store. */
export class Catalog {
  private readonly tables: Tables;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  byName(name: string): TemplateRow | null {
    const id = this.tables.byText('templateNames', name);
    return id === undefined ? null : this.byId(id.readUInt32BE(0));
  }

  byId(id: number): TemplateRow | null {
    const row = this.tables.table('templates').get(idKey(id));
    return row === undefined ? null : decodeTemplate(row);
  }

  /** Returns all templates of users, by name; compositions are left out. */
  all(): TemplateRow[] {
    return this.rows()
      .filter(({ kind }) => kind !== 'composition')
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Returns all compositions, oldest first. */
  compositions(): TemplateRow[] {
    return this.rows().filter(({ kind }) => kind === 'composition');
  }

  private rows(): TemplateRow[] {
    return [...this.tables.table('templates').getRange()].map(({ value }) => decodeTemplate(value));
  }

  version(templateId: number, number: number): VersionRow | null {
    if (!isId(number)) return null;
    const row = this.tables.table('versions').get(versionKey(templateId, number));
    return row === undefined ? null : decodeVersion(row);
  }

  /** Returns NAME@VERSION, for people; NAME is "?" if the template is gone. */
  refName({ templateId, version }: VersionBase): string {
    return `${this.byId(templateId)?.name ?? '?'}@${version}`;
  }

  /** Returns a template's versions, oldest first. */
  versions(templateId: number): VersionRow[] {
    const start = versionKey(templateId, 0);
    const end = versionKey(templateId + 1, 0);
    return [...this.tables.table('versions').getRange({ start, end })].map(({ value }) =>
      decodeVersion(value),
    );
  }

  /**
   * Returns the newest version that exists. The row's own `newest` only says which number comes next: that
   * version may have been rolled back and then removed.
   * @throws ByrefError 'corrupt' for a template without versions
   */
  newest({ id, name }: Pick<TemplateRow, 'id' | 'name'>): VersionRow {
    const newest = this.versions(id).at(-1);
    if (newest !== undefined) return newest;
    throw new ByrefError('corrupt', `template ${name} has no version`, 'Run byref fsck.');
  }

  /** Returns the row with `newest` set to a version that exists: for people to read. */
  withNewest(row: TemplateRow): TemplateRow {
    return { ...row, newest: this.newest(row).number };
  }

  /**
   * Finds the template and version that NAME or NAME@VERSION refers to; `pinned` says that a version was named.
   * @throws ByrefError 'notFound', 'usage'
   */
  resolve(ref: string): { template: TemplateRow; version: VersionRow; pinned: boolean } {
    const { name, version } = parseTemplateRef(ref);
    const template = this.byName(name);
    if (template === null) {
      throw new ByrefError(
        'notFound',
        `there is no template "${name}"`,
        'See byref template list, or add one with byref template import.',
      );
    }
    const row = this.version(template.id, version ?? template.current);
    if (row === null) {
      const message = `template ${name} has no version ${version ?? template.current}`;
      throw new ByrefError('notFound', message, `See byref template show ${name}.`);
    }
    return { template, version: row, pinned: version !== null };
  }

  /** Adds or replaces a template's row. Call it inside a transaction. */
  put(row: TemplateRow): void {
    this.tables.table('templates').putSync(idKey(row.id), encodeTemplate(row));
    this.tables.table('templateNames').putSync(textKey(row.name), idKey(row.id));
  }

  /** Adds or replaces a version's row. Call it inside a transaction. */
  putVersion(templateId: number, row: VersionRow): void {
    this.tables.table('versions').putSync(versionKey(templateId, row.number), encodeVersion(row));
  }

  /** Removes the rows of the template and of its versions. Call it inside a transaction. */
  remove(row: TemplateRow): void {
    for (const { number } of this.versions(row.id)) {
      this.tables.table('versions').removeSync(versionKey(row.id, number));
      forgetIdentity(this.tables, row.id, number);
    }
    this.tables.table('templateNames').removeSync(textKey(row.name));
    this.tables.table('templates').removeSync(idKey(row.id));
  }
}
