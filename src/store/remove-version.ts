/**
 * Removes one version of a template from the rows. What it changed and a later version still shows goes on
 * under the next version's number; what only it had is removed. All of it happens inside one transaction of the
 * caller.
 */
import type { Ino, ObjectId } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import { decodeHistory, encodeHistory, type LinkChange } from '../codec/link-history.ts';
import { decodeDirName, decodeNumber, encodeNumber } from '../codec/store-rows.ts';
import {
  allNames,
  type ChangedName,
  changedNames,
  FIRST_VERSION,
  linkKeyOf,
  noteChange,
} from './changed-names.ts';
import { changeKey, inoKey, templateDirIno, templateDirKey } from './keys.ts';
import type { Tables } from './tables.ts';

/**
 * Removes the rows of one version.
 * @returns for each object, how many link records fewer name it
 */
export function removeVersionRows(
  tables: Tables,
  template: number,
  version: number,
): Map<ObjectId, number> {
  const next = nextVersion(tables, template, version);
  const dropped = new Map<ObjectId, number>();
  const names =
    version === FIRST_VERSION
      ? [...allNames(tables, template)]
      : [...changedNames(tables, template, version - 1, version)];
  for (const name of names) {
    for (const { record } of cutName(tables, template, name, version, next)) {
      if (record === null) continue;
      if (!isDir(record.mode)) tables.table('inodes').removeSync(inoKey(record.ino));
      if (record.object !== '') dropped.set(record.object, (dropped.get(record.object) ?? 0) + 1);
    }
    tables.table('changes').removeSync(changeKey(template, version, name.dir, name.name));
  }
  moveDirs(tables, template, version);
  return dropped;
}

/** Returns the lowest version above this one, or null. */
function nextVersion(tables: Tables, template: number, version: number): number | null {
  const start = Buffer.alloc(8);
  start.writeUInt32BE(template, 0);
  start.writeUInt32BE(version + 1, 4);
  const end = Buffer.alloc(8);
  end.writeUInt32BE(template + 1, 0);
  const [key] = tables.table('versions').getKeys({ start, end, limit: 1 });
  return key === undefined ? null : key.readUInt32BE(4);
}

/** Rewrites one name's history without the version; returns the changes that it no longer has. */
function cutName(
  tables: Tables,
  template: number,
  name: ChangedName,
  version: number,
  next: number | null,
): LinkChange[] {
  const links = tables.table('links');
  const key = linkKeyOf(template, name);
  const value = links.get(key);
  if (value === undefined) return [];
  const history = decodeHistory(value);
  const at = history.findIndex((change) => change.version === version);
  if (at < 0) return [];
  const goesOn = next !== null && history[at - 1]?.version !== next;
  const gone = goesOn ? [] : history.splice(at, 1);
  if (goesOn) {
    history[at] = { ...history[at]!, version: next };
    noteChange(tables, template, next, name);
  }
  // A history need not say that a name was absent before its first version.
  while (history.at(-1)?.record === null) {
    const { version: since } = history.pop()!;
    if (since !== version)
      tables.table('changes').removeSync(changeKey(template, since, name.dir, name.name));
  }
  if (history.length === 0) links.removeSync(key);
  else links.putSync(key, encodeHistory(history));
  return gone;
}

/**
 * Corrects "since which version" for directories that came with the removed one: the template has them since a
 * later version, or no longer.
 */
function moveDirs(tables: Tables, template: number, version: number): void {
  const table = tables.table('templateDirs');
  const range = {
    start: templateDirKey(template, 0 as Ino),
    end: templateDirKey(template + 1, 0 as Ino),
  };
  const dirs = [...table.getRange(range)].filter(({ value }) => decodeNumber(value) === version);
  for (const { key } of dirs) {
    const first = firstVersion(tables, template, templateDirIno(key));
    if (first === null) table.removeSync(key);
    else table.putSync(key, encodeNumber(first));
  }
}

/**
 * Returns the first version of the template that has the directory. Null if none has: a directory may have been
 * there without any name in it.
 */
function firstVersion(tables: Tables, template: number, dir: Ino): number | null {
  const at = tables.table('dirNames').get(inoKey(dir));
  const row = at && tables.table('links').get(linkKeyOf(template, placeOf(at)));
  if (row === undefined) return null;
  const first = decodeHistory(row).findLast(({ record }) => record?.ino === dir);
  return first?.version ?? null;
}

function placeOf(row: Buffer): ChangedName {
  const { parent, name } = decodeDirName(row);
  return { dir: parent, name };
}
