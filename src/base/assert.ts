/**
 * Thrown when an invariant is broken. In the driver, the edge of the operation (src/driver/fuse/session.ts)
 * turns it into EIO for that one operation, logs it once and counts it.
 */
export class InvariantError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvariantError';
  }
}

/** Throws an InvariantError unless the condition holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
