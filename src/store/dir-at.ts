import { type Ino, type Name, ROOT_INO } from '../base/ids.ts';
import { decodeNumber, encodeDirName, encodeNumber } from '../codec/store-rows.ts';
import { dirKey, inoKey } from './keys.ts';
import type { Tables } from './tables.ts';

/**
 * Returns the number of the directory at a path, which is the same in all templates and for good; gives it one if no
 * template ever had such a directory. Call it inside a transaction.
 * @param path the names on the way from the root
 */
export function dirAt(tables: Tables, path: readonly Name[]): Ino {
  let at = ROOT_INO;
  for (const name of path) {
    const known = tables.table('dirs').get(dirKey(at, name));
    if (known !== undefined) {
      at = decodeNumber(known) as Ino;
      continue;
    }
    const ino = tables.take('nextIno') as Ino;
    tables.table('dirs').putSync(dirKey(at, name), encodeNumber(ino));
    tables.table('dirNames').putSync(inoKey(ino), encodeDirName({ parent: at, name }));
    at = ino;
  }
  return at;
}
