import type { Ino } from '../../base/ids.ts';
import type { Delta, DeltaEntry } from './ports.ts';

/** Names read per page. */
const BATCH = 256;

/** Yields every name that the env added to the directory or removed from it, read page by page. */
export function* namesIn(delta: Pick<Delta, 'list'>, dir: Ino): Generator<DeltaEntry> {
  for (let after = 0; ; ) {
    const page = delta.list(dir, after, BATCH);
    yield* page;
    if (page.length < BATCH) return;
    after = page.at(-1)?.cookie ?? after;
  }
}

/** Returns true if the env has a name of its own in the directory; whiteouts do not count. */
export function hasOwnName(delta: Pick<Delta, 'list'>, dir: Ino): boolean {
  for (const { ino } of namesIn(delta, dir)) if (ino !== 0) return true;
  return false;
}
