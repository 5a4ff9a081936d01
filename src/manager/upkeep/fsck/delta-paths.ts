import { type Ino, isPrivateIno, type Name, nameToText, ROOT_INO } from '../../../base/ids.ts';
import { SAVED_INO } from '../../../driver/core/set-aside.ts';
import type { DeltaScan } from './delta-scan.ts';
import type { DirPaths } from './dir-paths.ts';

/** Paths in an env, for people; its delta may be damaged. */
export class DeltaPaths {
  private readonly scan: DeltaScan;
  private readonly templates: DirPaths;

  constructor(scan: DeltaScan, templates: DirPaths) {
    this.scan = scan;
    this.templates = templates;
  }

  /** "/etc/passwd"; "<set aside>/p3/..." for what a patch set aside, "<inode 77>/..." for what hangs nowhere. */
  place(dir: Ino, name: Name): string {
    return `${this.of(dir)}/${nameToText(name)}`;
  }

  /** "" for the root. */
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
