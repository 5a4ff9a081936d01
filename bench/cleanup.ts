/** What must be undone at the end, last first, whatever happened before. */
export class Cleanup {
  readonly #steps: { what: string; undo: () => Promise<void> | void }[] = [];

  defer(what: string, undo: () => Promise<void> | void): void {
    this.#steps.push({ what, undo });
  }

  /** Runs every step, even after one failed; what failed is said on stderr. */
  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        console.error(`bench: could not undo "${step.what}": ${String(error)}`);
      }
    }
  }
}
