import { type Ino, type Name, nameToText, ROOT_INO } from '../base/ids.ts';
import { decodeDirName } from '../codec/store-rows.ts';
import { inoKey } from './keys.ts';
import type { Tables } from './tables.ts';

/** More components than a path of 4,096 bytes can have: beyond it, `dirNames` has a loop. */
export const DEPTH_MAX = 2048;

/**
 * Returns the path of a template directory as text: "" for the root, or "/usr/lib"; null if the store does not
 * know it.
 */
export function dirPath(tables: Tables, dir: Ino): string | null {
  const parts = partsOf(tables, dir);
  return parts === null ? null : joined(parts.map(nameToText));
}

/** Does as dirPath(), and returns a binary string. */
export function dirPathBytes(tables: Tables, dir: Ino): string | null {
  const parts = partsOf(tables, dir);
  return parts === null ? null : joined(parts);
}

const joined = (parts: readonly string[]): string => parts.map((part) => `/${part}`).join('');

function partsOf(tables: Tables, dir: Ino): Name[] | null {
  const parts: Name[] = [];
  for (let at = dir; at !== ROOT_INO; ) {
    const row = tables.table('dirNames').get(inoKey(at));
    if (row === undefined || parts.length > DEPTH_MAX) return null;
    const { parent, name } = decodeDirName(row);
    if (name === '') return null;
    parts.push(name);
    at = parent as Ino;
  }
  return parts.reverse();
}
