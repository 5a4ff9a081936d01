import { performance } from 'node:perf_hooks';
import { collectGarbage } from './garbage.ts';

/** How often it is looked, in ms. */
const LOOK_MS = 5000;
/** A driver that is busy for more than this part of the time would keep programs waiting while it collects garbage. */
const BUSY = 0.02;

/** Gives memory back when nobody asks anything: the garbage that mounts and unmounts left is collected once. */
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
    const wasTouched = this.#touched;
    this.#touched = false;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#before);
    this.#before = now;
    if (wasTouched) this.#hasGarbage = true;
    if (wasTouched || !this.#hasGarbage || utilization > BUSY) return;
    this.#hasGarbage = false;
    collectGarbage();
  }
}
