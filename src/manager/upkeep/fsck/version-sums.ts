import type { InodeRecord } from '../../../codec/inode-record.ts';
import type { LinkChange } from '../../../codec/link-history.ts';

/**
 * A sum for each version of a template, added up from histories: a change counts until the next change of its
 * name.
 */
export class VersionSums {
  private readonly versions: readonly number[];
  /** How much larger each sum is than that of the version before. */
  private readonly steps: Float64Array;

  /** @param versions lowest first */
  constructor(versions: readonly number[]) {
    this.versions = versions;
    this.steps = new Float64Array(versions.length + 1);
  }

  /** Adds one name's history. @param weigh returns what a record adds to each version that has it */
  add(changes: readonly LinkChange[], weigh: (record: InodeRecord) => number): void {
    let until = this.versions.length;
    for (const { version, record } of changes) {
      const from = this.indexOf(version);
      const weight = record === null ? 0 : weigh(record);
      if (weight !== 0 && from < until) {
        this.steps[from]! += weight;
        this.steps[until]! -= weight;
      }
      until = Math.min(until, from);
    }
  }

  /** Returns the index of the first version at or after this number. */
  private indexOf(version: number): number {
    let low = 0;
    let high = this.versions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.versions[middle]! < version) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Yields each version with its sum, lowest version first. */
  *all(): Generator<{ readonly version: number; readonly sum: number }> {
    let sum = 0;
    for (const [i, version] of this.versions.entries()) {
      sum += this.steps[i]!;
      yield { version, sum };
    }
  }

  /** Returns the lowest version for which the test is true, or null. */
  firstWhere(isIt: (sum: number, version: number) => boolean) {
    for (const entry of this.all()) if (isIt(entry.sum, entry.version)) return entry;
    return null;
  }
}
