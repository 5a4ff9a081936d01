/**
 * Joins calls to flush, so that one pass serves many. Calls that come while a pass runs share the next one,
 * because the running one may have begun before their change was committed.
 */
export class Flusher {
  readonly #pass: () => Promise<number>;
  #running: Promise<number> | null = null;
  #next: Promise<number> | null = null;

  /** @param pass makes everything durable that is committed when it is called; resolves to 0 or -errno */
  constructor(pass: () => Promise<number>) {
    this.#pass = pass;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  run(): Promise<number> {
    if (this.#running === null) return this.#begin();
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      return this.#begin();
    });
    return this.#next;
  }

  /** Resolves when no pass runs or waits. */
  async idle(): Promise<void> {
    while (this.#running !== null) await (this.#next ?? this.#running);
  }

  #begin(): Promise<number> {
    const running = this.#pass().finally(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return running;
  }
}
