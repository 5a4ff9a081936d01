/**
 * One pass serves many: calls that come while a pass runs share the next one, because the running one
 * may have begun before what they want on disk was committed.
 */
export class Flusher {
  readonly #pass: () => Promise<number>;
  #running: Promise<number> | null = null;
  #next: Promise<number> | null = null;

  /** @param pass makes all that is committed when it is called durable: 0 or -errno */
  constructor(pass: () => Promise<number>) {
    this.#pass = pass;
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
