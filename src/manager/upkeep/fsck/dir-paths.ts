import { type Ino, type Name, nameToText, ROOT_INO } from '../../../base/ids.ts';
import { decodeDirName } from '../../../codec/store-rows.ts';
import { DEPTH_MAX } from '../../../store/dir-path.ts';
import { inoKey } from '../../../store/keys.ts';
import type { Tables } from '../../../store/tables.ts';
import { hasRow, readRow } from './rows.ts';

/** Finds paths of template directories, for people, even if the dictionary is damaged. */
export class DirPaths {
  private readonly tables: Tables;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  /**
   * Returns a directory's path: "" for the root, "/usr/lib"; "<directory 77>" stands for the part above an
   * unknown directory.
   */
  of(dir: Ino | 0): string {
    const parts: string[] = [];
    for (let at = dir; at !== ROOT_INO && at !== 0; ) {
      const row = readRow(this.tables, 'dirNames', inoKey(at), decodeDirName);
      if (!row || row.name === '' || parts.length > DEPTH_MAX) {
        parts.push(`<directory ${at}>`);
        break;
      }
      parts.push(`/${nameToText(row.name)}`);
      at = row.parent;
    }
    return parts.reverse().join('');
  }

  /** Returns true if the dictionary has the directory. */
  has(dir: Ino): boolean {
    return hasRow(this.tables, 'dirNames', inoKey(dir));
  }

  /** Returns the path of a name in a directory; '' stands for the directory itself. */
  place(dir: Ino | 0, name: Name | ''): string {
    if (name === '') return this.of(dir) || '/';
    return `${this.of(dir)}/${nameToText(name)}`;
  }
}
