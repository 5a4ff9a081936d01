import { opcodeName } from './dispatch.ts';
import { OPCODES } from './wire.ts';

/** Bounds of the buckets of latencies, in milliseconds; one more bucket has what took longer. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 25, 100, 1000,
];

/** What is known of the requests of one kind since the session began. */
export interface OperationTimes {
  /** The name of its opcode: LOOKUP. */
  readonly operation: string;
  readonly totalMs: number;
  /** How many took no longer than each of LATENCY_BOUNDS_MS but longer than the one before; at last, the others. */
  readonly buckets: readonly number[];
  /** How many ended with each errno, without those that ended well. */
  readonly errors: readonly (readonly [errno: number, count: number])[];
}

const BUCKETS = LATENCY_BOUNDS_MS.length + 1;
const ERRNOS = 256;

/** Counts answers by operation, by how long they took, and by errno. Costs a few array accesses for each. */
export class RequestTimes {
  private readonly totals = new Float64Array(OPCODES);
  private readonly buckets = new Float64Array(OPCODES * BUCKETS);
  private readonly errors = new Map<number, number>();

  /** Takes note of an answer. @param result the length of the reply, or -errno */
  take(opcode: number, result: number, ms: number): void {
    if (opcode >= OPCODES) return;
    let bucket = 0;
    while (bucket < BUCKETS - 1 && ms > LATENCY_BOUNDS_MS[bucket]!) bucket++;
    (this.totals[opcode] as number) += ms;
    (this.buckets[opcode * BUCKETS + bucket] as number)++;
    if (result >= 0) return;
    const key = opcode * ERRNOS - result;
    this.errors.set(key, (this.errors.get(key) ?? 0) + 1);
  }

  /** Returns what is known of each operation that occurred. */
  all(): OperationTimes[] {
    return Array.from({ length: OPCODES }, (_, opcode) => this.of(opcode)).filter(({ buckets }) =>
      buckets.some((count) => count > 0),
    );
  }

  private of(opcode: number): OperationTimes {
    return {
      operation: opcodeName(opcode),
      totalMs: this.totals[opcode] ?? 0,
      buckets: [...this.buckets.subarray(opcode * BUCKETS, (opcode + 1) * BUCKETS)],
      errors: [...this.errors]
        .filter(([key]) => Math.floor(key / ERRNOS) === opcode)
        .map(([key, count]) => [key % ERRNOS, count] as const),
    };
  }
}
