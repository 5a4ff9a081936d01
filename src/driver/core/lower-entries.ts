import type { Ino } from '../../base/ids.ts';
import type { LowerEntry, LowerTree } from './ports.ts';

const PAGE = 1024;

/** Yields all names of a template directory, in cookie order. */
export function* entriesOf(layers: LowerTree, dir: Ino): Generator<LowerEntry> {
  for (let after = 0; ; ) {
    const page = layers.list(dir, after, PAGE);
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.cookie ?? after;
  }
}
