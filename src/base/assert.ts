/**
 * Graded assertions: in tests (BYREF_ASSERT=throw, the default) a broken invariant throws; in the
 * driver the edge of the operation turns the throw into EIO for that one operation, logs it once and
 * counts it (src/driver/fuse/dispatch.ts).
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
