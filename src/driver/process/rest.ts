import { performance } from 'node:perf_hooks';
import { keptDescriptors } from '../../base/kept-descriptors.ts';
import { collectGarbage } from './garbage.ts';

/** How often it is looked for what nobody uses, in ms. */
const LOOK_MS = 5000;
/** A driver that is busy for more than this part of the time would keep programs waiting while it collects garbage. */
const BUSY = 0.02;

/**
 * Gives memory back when nobody asks anything: link tables that were not used since the last look are closed, and when that has left
 * nothing more to close, the garbage of that, and of mounts, is collected once.
 */
export class Rest {
  #touched = false;
  #hasGarbage = false;
  #before = performance.eventLoopUtilization();

  constructor() {
    setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Notes that an env was mounted or unmounted. */
  touch(): void {
    this.#touched = true;
  }

  #look(): void {
    const works = this.#touched || keptDescriptors.restUnused();
    this.#touched = false;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#before);
    this.#before = now;
    if (works) this.#hasGarbage = true;
    if (works || !this.#hasGarbage || utilization > BUSY) return;
    this.#hasGarbage = false;
    collectGarbage();
  }
}
