/** Lets a daemon scrub its root now and then, in the background: docs/reference/daemon.md. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { type ScrubTimes, scrubTimes } from '../services/scrub-times.ts';
import { MARKER } from '../store/marker.ts';

/** A round that is due is begun at most this late. */
const LOOK_MS = 10 * 60_000;
/** For a daemon that has just started: what the machine does when it boots goes first. */
const FIRST_MS = 60_000;

/** What a timer needs of its daemon. */
export interface ScrubTimerParts {
  readonly root: string;
  /** How long after the end of a round the next one begins. */
  readonly everyMs: number;
  /** Begins or goes on with a round. Resolves at its end. */
  readonly scrub: () => Promise<unknown>;
}

/** Begins rounds when they are due, and goes on with those that were ended before their end. */
export class ScrubTimer {
  private readonly parts: ScrubTimerParts;
  private timer: NodeJS.Timeout;
  private closed = false;

  constructor(parts: ScrubTimerParts) {
    this.parts = parts;
    this.timer = this.lookIn(Math.min(FIRST_MS, parts.everyMs));
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private lookIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.look(), ms).unref();
  }

  private async look(): Promise<void> {
    const { root, everyMs, scrub } = this.parts;
    if (isDue(scrubTimes(root), everyMs, madeMs(root))) await scrub();
    if (!this.closed) this.timer = this.lookIn(Math.min(LOOK_MS, everyMs));
  }
}

/** @param madeMs when the root was made: the first round of a new one is not due at once */
function isDue({ goesOn, endedMs }: ScrubTimes, everyMs: number, madeMs: number): boolean {
  return goesOn || Date.now() - (endedMs ?? madeMs) >= everyMs;
}

const madeMs = (root: string): number =>
  statSync(path.join(root, MARKER), { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
