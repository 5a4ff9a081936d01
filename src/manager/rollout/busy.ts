/** Waits for dpkg and apt where they are at work in envs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EnvRow, Store } from '../../store/store.ts';
import { busyEnvs } from './flip.ts';

const LOOK_MS = 200;

export interface BusyWaitOptions {
  /** How long at most, milliseconds, over all waits; 0 if not given. */
  readonly dpkgWaitMs?: number;
  /** Hears of the envs that are waited for, once. */
  readonly onBusy?: (envs: readonly string[]) => void;
}

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

  /** Waits until all are free. Returns those that are not when the time is over. */
  async until(rows: readonly EnvRow[]): Promise<EnvRow[]> {
    for (;;) {
      const busy = await busyEnvs(this.store, false);
      const waiting = rows.filter(({ id }) => busy.has(id));
      if (waiting.length === 0 || !(await this.pause(waiting))) return waiting;
    }
  }

  /** Waits until some are free, and returns those; none when the time is over. */
  async someFree(rows: readonly EnvRow[]): Promise<EnvRow[]> {
    for (;;) {
      const busy = rows.length === 0 ? new Set<number>() : await busyEnvs(this.store, false);
      const free = rows.filter(({ id }) => !busy.has(id));
      if (rows.length === 0 || free.length > 0 || !(await this.pause(rows))) return free;
    }
  }

  /** False when the time is over. Others may write meanwhile. */
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
