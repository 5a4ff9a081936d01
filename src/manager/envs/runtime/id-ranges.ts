/**
 * Gives each running env a range of user and group ids of its own. An env's files are kept with the ids that its programs see,
 * and its mount is id-mapped, so it may have another range each time it is started.
 */
import { existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { procLink } from '../../../base/proc.ts';
import { RunDir } from '../../../ipc/run-dir.ts';
import { withLock } from '../../../store/with-lock.ts';

/** A range of user and group ids of the machine. */
export interface IdRange {
  /** The machine's id for the env's root. */
  readonly first: number;
  readonly size: number;
}

/** How many ids an env has: as many as a plain system uses, nobody (65534) included. */
const SIZE = 65_536;
/** The first id of all ranges: far above people's ids, and what /etc/subuid gives out. */
const FIRST = 2 ** 30;
/** How many ranges there are below 2^31, above which some programs take ids for negative. */
const RANGES = (2 ** 31 - FIRST) / SIZE;

const rangeOf = (slot: number): IdRange => ({ first: FIRST + slot * SIZE, size: SIZE });

/**
 * The ranges of a machine that are taken: one symlink each, whose name is the range's number, and whose target is the
 * directory of the env's bundle. A range is free again when it was given back, or that directory is gone.
 */
export class IdRanges {
  private readonly directory: string;

  /** @param directory is shared by all roots of the machine */
  constructor(directory: string) {
    this.directory = directory;
  }

  /** Takes the lowest free range for a bundle. @throws ByrefError 'noSpace' if all are taken */
  take(bundle: string): Promise<IdRange> {
    return this.locked(() => rangeOf(this.takeSlot(bundle)));
  }

  /** Gives the range that begins with an id back, if it is still the bundle's. */
  async giveBack(bundle: string, first: number): Promise<void> {
    await this.locked(() => {
      const link = this.link((first - FIRST) / SIZE);
      if (procLink(link) === bundle) unlinkSync(link);
    });
  }

  /** Gives back the ranges of all bundles that are gone. */
  async tidy(): Promise<void> {
    await this.locked(() => this.freeLeft());
  }

  private locked<T>(work: () => T): Promise<T> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    return withLock(this.directory, 'directory', work);
  }

  private takeSlot(bundle: string): number {
    let slot = this.freeSlot();
    if (slot === null) {
      this.freeLeft();
      slot = this.freeSlot();
    }
    if (slot === null) {
      const message = `${RANGES} envs run already: there are no user ids left for another one`;
      throw new ByrefError('noSpace', message, 'Stop some of them.');
    }
    symlinkSync(bundle, this.link(slot));
    return slot;
  }

  /** Returns the lowest number that no range has; null if all are taken. Looks at no bundle: of a thousand that would take a while. */
  private freeSlot(): number | null {
    const taken = new Set(readdirSync(this.directory).map(Number));
    let slot = 0;
    while (taken.has(slot)) slot++;
    return slot < RANGES ? slot : null;
  }

  private freeLeft(): void {
    for (const name of readdirSync(this.directory)) {
      const link = this.link(Number(name));
      if (!existsSync(readlinkSync(link))) unlinkSync(link);
    }
  }

  private link(slot: number): string {
    return path.join(this.directory, String(slot));
  }
}

/** Returns the ranges of the machine that a root is on. */
export const idRangesOf = (root: string): IdRanges =>
  new IdRanges(path.join(path.dirname(new RunDir(root).path), 'ids'));
