/** Runs work that takes a thread of the pool, now or when it is its turn. */
export type Run = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Shares threads of libuv's pool among lanes. The pool itself takes work in the order in which it comes. Each lane
 * has at most `each` threads at work, so that one lane alone leaves some to others, and free threads are given out
 * in turn.
 */
export class FairPool {
  private free: number;
  private readonly each: number;
  /** Lanes with work that may start, in the order of their turn. */
  private readonly ready: Lane[] = [];

  /**
   * @param total threads over all lanes
   * @param each threads of one lane at most
   */
  constructor(total: number, each: number) {
    this.free = total;
    this.each = each;
  }

  /** Makes a lane; each env has one. It need not be closed. */
  lane(): Run {
    const lane: Lane = { waiting: [], running: 0, isReady: false };
    return (work) =>
      new Promise((resolve, reject) => {
        lane.waiting.push(() => work().then(resolve, reject));
        this.offer(lane);
        this.start();
      });
  }

  private offer(lane: Lane): void {
    if (lane.isReady || lane.waiting.length === 0 || lane.running >= this.each) return;
    lane.isReady = true;
    this.ready.push(lane);
  }

  private start(): void {
    while (this.free > 0) {
      const lane = this.ready.shift();
      const work = lane?.waiting.shift();
      if (lane === undefined || work === undefined) return;
      this.free--;
      lane.running++;
      lane.isReady = false;
      this.offer(lane);
      void work().finally(() => {
        this.free++;
        lane.running--;
        this.offer(lane);
        this.start();
      });
    }
  }
}

interface Lane {
  readonly waiting: (() => Promise<void>)[];
  running: number;
  isReady: boolean;
}
