/** The ids of requests that are answered later: those that an INTERRUPT may name. */
export class Pending {
  private readonly ids = new Set<number>();
  private idle: (() => void) | null = null;

  get count(): number {
    return this.ids.size;
  }

  add(id: number): void {
    this.ids.add(id);
  }

  has(id: number): boolean {
    return this.ids.has(id);
  }

  delete(id: number): void {
    this.ids.delete(id);
    if (this.ids.size === 0) this.idle?.();
  }

  /** Resolves when no request is left. */
  async drained(): Promise<void> {
    if (this.ids.size === 0) return;
    await new Promise<void>((resolve) => {
      this.idle = resolve;
    });
  }
}
