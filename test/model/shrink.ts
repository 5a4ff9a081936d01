/**
 * Returns a history that still fails, of which no step can be left out; or the shortest that was found by `until`.
 * Whole parts are left out first, then smaller ones: a step costs tens of milliseconds for real, so few tries count.
 * @param until a time in milliseconds, as of Date.now()
 */
export async function shrink<T>(
  steps: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
  until: number,
): Promise<readonly T[]> {
  let left = steps;
  let size = Math.ceil(left.length / 2);
  while (size >= 1 && Date.now() < until) {
    const before = left.length;
    for (let at = 0; at < left.length && Date.now() < until; ) {
      const some = [...left.slice(0, at), ...left.slice(at + size)];
      if (some.length > 0 && (await fails(some))) left = some;
      else at += size;
    }
    if (size === 1 && left.length === before) break;
    size = Math.ceil(size / 2);
  }
  return left;
}
