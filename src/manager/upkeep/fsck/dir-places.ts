/** Places of template directories: from link records, and as keys of maps. */
import type { Ino, Name } from '../../../base/ids.ts';
import type { Tables } from '../../../store/tables.ts';
import { dirIno, eachLink } from './link-scan.ts';

/** Where a directory is; the root is '' in directory 0. */
export interface DirPlace {
  readonly parent: Ino | 0;
  readonly name: Name | '';
}

/** Returns a place as one string. */
export const placeKey = ({ parent, name }: DirPlace): string => `${parent}/${name}`;

/** Returns the place from such a string. */
export function splitKey(key: string): DirPlace {
  const at = key.indexOf('/');
  return { parent: Number(key.slice(0, at)) as Ino | 0, name: key.slice(at + 1) as Name | '' };
}

/** Returns the ino from a key of `dirNames` or `inodes`, or from the beginning of one of `dirs`. */
export const inoOfKey = (key: Buffer): Ino => Number(key.readBigUInt64BE(0)) as Ino;

/** Returns the place from a key of `dirs`. */
export const placeOfKey = (key: Buffer): DirPlace => ({
  parent: inoOfKey(key),
  name: key.toString('latin1', 8) as Name | '',
});

/** The directories that link records name. */
export interface UsedDirs {
  readonly byPlace: ReadonlyMap<string, { readonly ino: Ino; readonly place: DirPlace }>;
  /** Keys of places with several inos, and inos at several places. */
  readonly disputed: ReadonlySet<string | Ino>;
}

/** Collects the directories from the link records of all templates and versions. */
export function usedDirs(tables: Tables): UsedDirs {
  const byPlace = new Map<string, { readonly ino: Ino; readonly place: DirPlace }>();
  const byIno = new Map<Ino, string>();
  const disputed = new Set<string | Ino>();
  for (const { dir, name, changes } of eachLink(tables)) {
    for (const change of changes) {
      const ino = dirIno(change);
      if (ino === null) continue;
      const place = { parent: dir, name };
      const key = placeKey(place);
      const before = byPlace.get(key);
      if (before === undefined) byPlace.set(key, { ino, place });
      if (!byIno.has(ino)) byIno.set(ino, key);
      const agreed = (before === undefined || before.ino === ino) && byIno.get(ino) === key;
      if (!agreed) disputed.add(key).add(ino);
    }
  }
  return { byPlace, disputed };
}
