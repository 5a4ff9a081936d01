/** Waits for envs in which dpkg or apt is at work. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EnvRow, Store } from '../../store/store.ts';
import { busyEnvs } from './flip.ts';

const LOOK_MS = 200;

/** How long to wait for dpkg and apt, and whom to tell. */
export interface BusyWaitOptions {
  /** The longest time to wait, in milliseconds, over all waits together; 0 if not given. */
  readonly dpkgWaitMs?: number;
  /** Called once, with the names of the envs that are waited for. */
  readonly onBusy?: (envs: readonly string[]) => void;
}

/** One budget of time for all the waits of a command. */
export class BusyWait {
  private readonly store: Store;
  private readonly onBusy: (envs: readonly string[]) => void;
  private left: number;
  private said = false;

  constructor(store: Store, { dpkgWaitMs = 0, onBusy = () => undefined }: BusyWaitOptions) {
    this.store = store;
    this.left = dpkgWaitMs;
    this.onBusy = onBusy;
  }

  /** Waits until all are free. Returns those that are still busy when the time is over. */
  async until(rows: readonly EnvRow[]): Promise<EnvRow[]> {
    for (;;) {
      const busy = await busyEnvs(this.store, false);
      const waiting = rows.filter(({ id }) => busy.has(id));
      if (waiting.length === 0 || !(await this.pause(waiting))) return waiting;
    }
  }

  /** Waits until at least one is free, and returns the free ones; none when the time is over. */
  async someFree(rows: readonly EnvRow[]): Promise<EnvRow[]> {
    for (;;) {
      const busy = rows.length === 0 ? new Set<number>() : await busyEnvs(this.store, false);
      const free = rows.filter(({ id }) => !busy.has(id));
      if (rows.length === 0 || free.length > 0 || !(await this.pause(rows))) return free;
    }
  }

  /** Waits a moment, in which others may write to the store. False when the time is over. */
  private async pause(rows: readonly EnvRow[]): Promise<boolean> {
    if (this.left <= 0) return false;
    if (!this.said) this.onBusy(rows.map(({ name }) => name));
    this.said = true;
    const started = Date.now();
    await this.store.pause(() => sleep(Math.min(LOOK_MS, this.left)));
    this.left -= Date.now() - started;
    return true;
  }
}
