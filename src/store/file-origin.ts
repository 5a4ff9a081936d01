/** Tells which template a file is from, and which of its versions have the file. */
import type { Ino, Name } from '../base/ids.ts';
import { decodeHistory } from '../codec/link-history.ts';
import { linkKeyOf } from './changed-names.ts';
import type { Tables } from './tables.ts';
import { inodeNames } from './template-view.ts';

/** Where a template's file is from. */
export interface FileOrigin {
  readonly templateId: number;
  /** One of its names. */
  readonly dir: Ino;
  readonly name: Name;
  /** The versions that have it: from `since` up to, but without, `until` (Infinity: the newest has it). Null: none that is kept. */
  readonly versions: { readonly since: number; readonly until: number } | null;
}

/** Returns where a file is from; null for a directory, and for a number that no template has. */
export function fileOrigin(tables: Tables, ino: Ino): FileOrigin | null {
  const names = inodeNames(tables, ino);
  const [place] = names?.names ?? [];
  if (names === null || place === undefined) return null;
  const { dir, name } = place;
  const value = tables.table('links').get(linkKeyOf(names.template, place));
  const history = value === undefined ? [] : decodeHistory(value);
  const at = history.findIndex(({ record }) => record?.ino === ino);
  const since = history[at]?.version;
  const until = history[at - 1]?.version ?? Number.POSITIVE_INFINITY;
  const versions = since === undefined ? null : { since, until };
  return { templateId: names.template, dir, name, versions };
}
