/**
 * Yields all entries of a listing that is read page by page.
 * @param list returns the entries after a cookie, in cookie order: fewer than `max` only at the end
 */
export function* inPages<Entry extends { readonly cookie: number }>(
  max: number,
  list: (after: number, max: number) => readonly Entry[],
): Generator<Entry> {
  for (let after = 0; ; ) {
    const page = list(after, max);
    yield* page;
    if (page.length < max) return;
    after = page.at(-1)?.cookie ?? after;
  }
}
