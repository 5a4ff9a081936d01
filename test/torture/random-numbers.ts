/** Random numbers that depend on the seed only. */
export function randomNumbers(seed: number) {
  let state = seed >>> 0 || 1;
  /** xorshift32 */
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  const below = (limit: number): number => next() % limit;
  return {
    below,
    bytes: (length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      for (let i = 0; i < length; i++) bytes[i] = next() & 0xff;
      return bytes;
    },
    oneOf: <T>(values: readonly T[]): T => values[below(values.length)]!,
  };
}
