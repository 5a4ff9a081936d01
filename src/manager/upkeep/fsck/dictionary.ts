/**
 * Checks the dictionary of directories. `dirs` (place -> ino) and `dirNames` (ino -> place) must agree on every
 * directory that a template ever had. Where they do not, link records decide: each has its directory's ino, and
 * is stored under its place.
 */
import { type Ino, isPrivateIno, ROOT_INO } from '../../../base/ids.ts';
import {
  decodeDirName,
  decodeNumber,
  encodeDirName,
  encodeNumber,
} from '../../../codec/store-rows.ts';
import { dirKey, inoKey } from '../../../store/keys.ts';
import { type DirPlace, inoOfKey, placeKey, placeOfKey, splitKey, usedDirs } from './dir-places.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow } from './rows.ts';

/** Checks the dictionary, and leaves its repaired form with the job. */
export function* checkDictionary(job: Job): Generator<Found> {
  const dictionary = new Dictionary(job);
  yield* dictionary.checkUsed();
  yield* dictionary.checkPairs();
  yield* dictionary.checkUnread();
  yield* dictionary.checkParents();
  job.dirInos = dictionary.inos;
  job.dirPlaces = dictionary.places;
  for (const ino of dictionary.places.keys()) {
    if (!isPrivateIno(ino)) job.highestIno = Math.max(job.highestIno, ino);
  }
}

class Dictionary {
  private readonly job: Job;
  /** The dictionary's rows, updated by repairs, so that nothing is reported twice. */
  readonly inos = new Map<string, Ino>();
  readonly places = new Map<Ino, DirPlace>();
  /** Inos by place, according to `dirNames`. */
  private readonly claims = new Map<string, Ino>();
  private readonly unreadPlaces = new Map<string, DirPlace>();
  private readonly unreadInos = new Set<Ino>();
  /** Places and inos that are settled, or can't be. */
  private readonly done = new Set<string | Ino>();

  constructor(job: Job) {
    this.job = job;
    const places = eachRow(job.tables, 'dirNames', decodeDirName, ({ key }) =>
      this.unreadInos.add(inoOfKey(key)),
    );
    for (const { key, value } of places) {
      job.checked.directories++;
      this.places.set(inoOfKey(key), value);
      this.claims.set(placeKey(value), inoOfKey(key));
    }
    const inos = eachRow(job.tables, 'dirs', decodeNumber, ({ key }) => {
      const place = placeOfKey(key);
      this.unreadPlaces.set(placeKey(place), place);
    });
    for (const { key, value } of inos) this.inos.set(placeKey(placeOfKey(key)), value as Ino);
  }

  /** Checks that directories of templates are in the dictionary. */
  *checkUsed(): Generator<Found> {
    const { byPlace, disputed } = usedDirs(this.job.tables);
    for (const [key, { ino, place }] of byPlace) {
      // If both tables agree they are right, and a record that differs is a finding of the check of links.
      if (this.isPair(key)) continue;
      if (disputed.has(key) || disputed.has(ino)) {
        const what = 'templates disagree on the number of this directory, or where it hangs';
        this.done.add(key).add(ino);
        yield this.found('dirs.pairs', place, what, null);
        continue;
      }
      const inoIsRight = this.inos.get(key) === ino;
      const unread = inoIsRight ? this.unreadInos.has(ino) : this.unreadPlaces.has(key);
      const what = inoIsRight
        ? `dirNames does not lead from number ${ino} to it`
        : `dirs does not lead from it to number ${ino}`;
      yield this.found(unread ? 'dirs.row' : 'dirs.pairs', place, what, this.pair(ino, place));
    }
  }

  /** Checks directories that no template has now. One table can show what the other lacks, but not which is right. */
  *checkPairs(): Generator<Found> {
    for (const [key, ino] of [...this.inos]) {
      if (this.done.has(key) || this.isPair(key)) continue;
      const place = splitKey(key);
      const free = !this.places.has(ino) && !this.claims.has(key);
      const what = `dirNames does not lead from number ${ino} to it`;
      const check = this.unreadInos.has(ino) ? 'dirs.row' : 'dirs.pairs';
      yield this.found(check, place, what, free ? this.pair(ino, place) : null);
    }
    for (const [ino, place] of [...this.places]) {
      const key = placeKey(place);
      const other = this.inos.get(key);
      if (this.done.has(ino) || other === ino) continue;
      if (other === undefined) {
        const what = `dirs does not lead from it to number ${ino}`;
        const check = this.unreadPlaces.has(key) ? 'dirs.row' : 'dirs.pairs';
        yield this.found(check, place, what, this.pair(ino, place));
      } else if (this.isPair(key)) {
        const what = `dirNames leads from number ${ino} to it, too`;
        yield this.found('dirs.pairs', place, what, this.removal(ino));
      }
    }
  }

  /** Returns true if both tables agree on this place. */
  private isPair(key: string): boolean {
    const ino = this.inos.get(key);
    const place = ino === undefined ? undefined : this.places.get(ino);
    return place !== undefined && placeKey(place) === key;
  }

  /** Reports rows that can't be read, and that nothing refers to. */
  *checkUnread(): Generator<Found> {
    for (const [key, place] of this.unreadPlaces) {
      if (this.inos.has(key)) continue;
      const rows = () =>
        void this.job.tables.table('dirs').removeSync(dirKey(place.parent, place.name));
      yield this.found('dirs.row', place, "its row in dirs can't be read", rows);
    }
    for (const ino of this.unreadInos) {
      if (this.places.has(ino)) continue;
      yield damage('dirs.row', `directory ${ino}`, "its row in dirNames can't be read", BY_REPAIR, {
        rows: this.removal(ino),
      });
    }
  }

  /** Checks that every way up ends at the root. */
  *checkParents(): Generator<Found> {
    const good = new Set<Ino>([ROOT_INO]);
    for (const [ino, place] of this.places) {
      const way: Ino[] = [];
      let at: Ino | 0 = ino;
      while (at !== 0 && !good.has(at) && !way.includes(at)) {
        way.push(at);
        at = this.places.get(at)?.parent ?? 0;
      }
      for (const passed of way) good.add(passed);
      if (at !== 0 && !way.includes(at)) continue;
      const what =
        at === 0 ? 'it hangs in no directory' : `it hangs in itself (by way of directory ${at})`;
      yield damage('dirs.parents', this.pathOf(place), what, FROM_BACKUP);
    }
  }

  private found(
    check: 'dirs.row' | 'dirs.pairs',
    place: DirPlace,
    what: string,
    rows: (() => void) | null,
  ): Found {
    const fix = rows === null ? {} : { rows };
    return damage(check, this.pathOf(place), what, rows === null ? FROM_BACKUP : BY_REPAIR, fix);
  }

  private pathOf({ parent, name }: DirPlace): string {
    return `directory ${this.job.paths.place(parent, name)}`;
  }

  /** Returns a repair after which both tables have this pair. */
  private pair(ino: Ino, place: DirPlace): () => void {
    const key = placeKey(place);
    this.inos.set(key, ino);
    this.places.set(ino, place);
    this.done.add(key).add(ino);
    return () => {
      this.job.tables.table('dirs').putSync(dirKey(place.parent, place.name), encodeNumber(ino));
      this.job.tables.table('dirNames').putSync(inoKey(ino), encodeDirName(place));
    };
  }

  private removal(ino: Ino): () => void {
    this.places.delete(ino);
    return () => void this.job.tables.table('dirNames').removeSync(inoKey(ino));
  }
}
