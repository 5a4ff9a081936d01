import { type Ino, isPrivateIno, type Name, nameToText, ROOT_INO } from '../../../base/ids.ts';
import { SAVED_INO } from '../../../driver/core/set-aside.ts';
import type { DeltaScan } from './delta-scan.ts';
import type { DirPaths } from './dir-paths.ts';

/** Finds paths in an env, for people, even if its delta is damaged. */
export class DeltaPaths {
  private readonly scan: DeltaScan;
  private readonly templates: DirPaths;

  constructor(scan: DeltaScan, templates: DirPaths) {
    this.scan = scan;
    this.templates = templates;
  }

  /**
   * Returns a name's path: "/etc/passwd". It begins with "<set aside>/p3/" for files that a patch set aside,
   * and with "<inode 77>/" below a directory that has no place.
   */
  place(dir: Ino, name: Name): string {
    return `${this.of(dir)}/${nameToText(name)}`;
  }

  /** Returns a directory's path; "" for the root. */
  of(dir: Ino): string {
    const parts: string[] = [];
    const passed = new Set<Ino>();
    for (let at = dir; at !== ROOT_INO; ) {
      const place = this.scan.places.get(at);
      if (place === undefined || passed.has(at)) {
        parts.push(this.outside(at));
        break;
      }
      passed.add(at);
      parts.push(`/${nameToText(place.name)}`);
      at = place.dir;
    }
    return parts.reverse().join('');
  }

  private outside(dir: Ino): string {
    if (dir === SAVED_INO) return '<set aside>';
    const isDirectory = !isPrivateIno(dir) && this.templates.has(dir);
    return isDirectory ? this.templates.of(dir) : `<inode ${dir}>`;
  }
}
