import { decodeTemplate, decodeVersion, type TemplateRow } from '../../../codec/store-rows.ts';
import type { Tables } from '../../../store/tables.ts';
import { eachRow } from './rows.ts';

/** A template that has a row, readable or not. */
export interface TemplateFacts {
  readonly id: number;
  /** From `templateNames` if the row can't be read. For a composition, what it is made of: "os@1 + app@2". */
  readonly name: string;
  /** null if the row can't be read. */
  readonly row: TemplateRow | null;
  /** Numbers of the versions that have a row, lowest first. */
  readonly versions: number[];
  /** Those versions whose row can't be read. */
  readonly unreadVersions: Set<number>;
}

/** Templates by id. */
export type CatalogFacts = ReadonlyMap<number, TemplateFacts>;

/** Reads all templates that have a row. */
export function readCatalog(tables: Tables): CatalogFacts {
  const templates = new Map<number, { -readonly [K in keyof TemplateFacts]: TemplateFacts[K] }>();
  const names = namesById(tables);
  const add = (id: number, row: TemplateRow | null): void => {
    const name = row?.name ?? names.get(id) ?? `number ${id}`;
    templates.set(id, { id, name, row, versions: [], unreadVersions: new Set() });
  };
  const badTemplate = ({ key }: { key: Buffer }): void => add(key.readUInt32BE(0), null);
  for (const { key, value } of eachRow(tables, 'templates', decodeTemplate, badTemplate)) {
    add(key.readUInt32BE(0), value);
  }
  const addVersion = (key: Buffer, unread: boolean): void => {
    const facts = templates.get(key.readUInt32BE(0));
    facts?.versions.push(key.readUInt32BE(4));
    if (unread) facts?.unreadVersions.add(key.readUInt32BE(4));
  };
  const bad: Buffer[] = [];
  const rows = eachRow(tables, 'versions', decodeVersion, (row) => bad.push(row.key));
  for (const { key, value } of rows) {
    addVersion(key, false);
    const facts = templates.get(key.readUInt32BE(0));
    if (facts?.row?.kind === 'composition' && value.label !== '') facts.name = value.label;
  }
  for (const key of bad) addVersion(key, true);
  for (const { versions } of templates.values()) versions.sort((a, b) => a - b);
  return templates;
}

function namesById(tables: Tables): Map<number, string> {
  const names = new Map<number, string>();
  const decode = (value: Buffer): number => value.readUInt32BE(0);
  for (const { key, value } of eachRow(tables, 'templateNames', decode)) {
    names.set(value, key.toString('utf8'));
  }
  return names;
}
