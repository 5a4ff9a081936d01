/**
 * Does `work` for each item, for at most `limit` of them at a time, begun in their order.
 * @returns the results in the order of the items
 * @throws the first error of `work`; what is under way then goes on, and nothing else is begun
 */
export async function atOnce<E, T>(
  items: readonly E[],
  limit: number,
  work: (item: E) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  const left = [...items.entries()];
  const go = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [at, item] = next;
      results[at] = await work(item);
    }
  };
  const stop = (error: unknown): never => {
    left.length = 0;
    throw error;
  };
  await Promise.all(Array.from({ length: limit }, () => go().catch(stop)));
  return results;
}
