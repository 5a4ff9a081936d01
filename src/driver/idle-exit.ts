/** A process that serves nothing for this long ends by itself, and leaves nothing behind. */
export const IDLE_EXIT_MS = Number(process.env['BYREF_IDLE_EXIT_MS'] ?? 10_000);

/** Calls `onIdle` when `isIdle` has held for IDLE_EXIT_MS since the last touch(). */
export class IdleExit {
  private readonly isIdle: () => boolean;
  private readonly onIdle: () => void;
  private timer: NodeJS.Timeout | null = null;

  constructor(isIdle: () => boolean, onIdle: () => void) {
    this.isIdle = isIdle;
    this.onIdle = onIdle;
    this.touch();
  }

  /** Something was asked, began or ended: wait anew. A busy process has no timer at all. */
  touch(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.isIdle()) this.timer = setTimeout(() => this.check(), IDLE_EXIT_MS);
  }

  private check(): void {
    if (this.isIdle()) this.onIdle();
    else this.touch();
  }
}
