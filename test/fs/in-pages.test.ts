import { expect, test } from 'vitest';
import { inPages } from '../../src/driver/core/in-pages.ts';

/** Lists entries with these cookies as a delta does: those of one cookie are never separated. */
const listing =
  (cookies: readonly number[], asked: number[] = []) =>
  (after: number, max: number) => {
    asked.push(after);
    const left = cookies.filter((cookie) => cookie > after);
    const last = left[max - 1] ?? Infinity;
    return left.filter((cookie) => cookie <= last).map((cookie) => ({ cookie }));
  };

test.each([
  [[], [0]],
  [[3], [0]],
  [
    [3, 5],
    [0, 5],
  ],
  [
    [3, 5, 9],
    [0, 5],
  ],
  [
    [3, 5, 5, 5, 9, 11],
    [0, 5, 11],
  ],
])('a listing of %j is read once, after %j', (cookies, pages) => {
  const asked: number[] = [];
  const found = [...inPages(2, listing(cookies, asked))].map(({ cookie }) => cookie);
  expect([found, asked]).toEqual([cookies, pages]);
});
