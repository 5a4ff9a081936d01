/**
 * A broken invariant throws. In the driver the edge of the operation (src/driver/fuse/session.ts) turns that into EIO for the one
 * operation, logs it once and counts it.
 */
export class InvariantError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvariantError';
  }
}

export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
