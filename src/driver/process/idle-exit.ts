/** A process that serves nothing for this long ends by itself and leaves nothing behind, in ms. */
const IDLE_EXIT_MS = Number(process.env['BYREF_IDLE_EXIT_MS'] ?? 10_000);

/**
 * Calls `onIdle` when `isIdle` has held for IDLE_EXIT_MS since the last touch(). A connected command keeps a
 * process alive, because it is about to ask for something.
 */
export class IdleExit {
  private readonly isIdle: () => boolean;
  private readonly onIdle: () => void;
  private timer: NodeJS.Timeout | null = null;

  constructor(isIdle: () => boolean, onIdle: () => void) {
    this.isIdle = isIdle;
    this.onIdle = onIdle;
  }

  /** Starts the wait again, because something began or ended. A busy process has no timer. */
  readonly touch = (): void => {
    if (this.timer) clearTimeout(this.timer);
    this.timer = this.isIdle() ? setTimeout(() => this.check(), IDLE_EXIT_MS) : null;
  };

  private check(): void {
    this.timer = null;
    if (this.isIdle()) this.onIdle();
  }
}
