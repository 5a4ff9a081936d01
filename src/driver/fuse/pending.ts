/** A request that is answered later. */
export interface PendingRequest {
  readonly opcode: number;
  /** The nodeid that it is about. */
  readonly node: number;
  /** The process that made it, as the driver sees it. */
  readonly pid: number;
  /** When it came, by performance.now(). */
  readonly begunMs: number;
  /** Why it is not even begun; null if it is. */
  readonly gate: string | null;
  /** True once it was reported as slow. */
  isSlow: boolean;
}

/** The requests that are answered later, by id, in the order in which they came: those that an INTERRUPT may name. */
export class Pending {
  private readonly requests = new Map<number, PendingRequest>();
  private idle: (() => void) | null = null;

  get count(): number {
    return this.requests.size;
  }

  add(id: number, request: PendingRequest): void {
    this.requests.set(id, request);
  }

  has(id: number): boolean {
    return this.requests.has(id);
  }

  /** Yields those that came before a time, by performance.now(). */
  *before(ms: number): Generator<readonly [id: number, request: PendingRequest]> {
    for (const entry of this.requests) {
      if (entry[1].begunMs > ms) return;
      yield entry;
    }
  }

  delete(id: number): void {
    this.requests.delete(id);
    if (this.requests.size === 0) this.idle?.();
  }

  /** Resolves when no request is left. */
  async drained(): Promise<void> {
    if (this.requests.size === 0) return;
    await new Promise<void>((resolve) => {
      this.idle = resolve;
    });
  }
}
