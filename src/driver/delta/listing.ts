import type { Ino, Name } from '../../base/ids.ts';
import { compareEntries, type DirNames, type Generation, type NameState } from './generation.ts';
import type { TableView } from './table-view.ts';

/** A sorted stream of one directory's names; `head` is null at the end. */
interface Source {
  readonly head: NameState | null;
  advance(): void;
}

class MemorySource implements Source {
  readonly #names: DirNames;
  readonly #order: readonly NameState[];
  #at: number;
  head: NameState | null = null;

  constructor(names: DirNames, after: number) {
    this.#names = names;
    this.#order = names.ordered();
    this.#at = firstAfter(this.#order, after) - 1;
    this.advance();
  }

  advance(): void {
    const next = this.#order[++this.#at];
    this.head = next === undefined ? null : this.#names.states.get(next.name)!;
  }
}

/** Returns the index of the first entry whose cookie is above `after`. */
function firstAfter(order: readonly NameState[], after: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order[middle]!.cookie > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

class TableSource implements Source {
  readonly #table: TableView;
  readonly #dir: Ino;
  readonly #batch: number;
  #entries: NameState[];
  #at = 0;

  constructor(table: TableView, dir: Ino, after: number, batch: number) {
    this.#table = table;
    this.#dir = dir;
    this.#batch = batch;
    this.#entries = table.entries(dir, after + 1, null, batch);
  }

  get head(): NameState | null {
    return this.#entries[this.#at] ?? null;
  }

  advance(): void {
    this.#at++;
    if (this.#at < this.#entries.length || this.#entries.length < this.#batch) return;
    const last: { cookie: number; name: Name } = this.#entries[this.#at - 1]!;
    this.#entries = this.#table.entries(this.#dir, last.cookie, last.name, this.#batch);
    this.#at = 0;
  }
}

/** Returns the least head; among equal ones that of the first source, which is the newest. */
function leastHead(sources: readonly Source[]): NameState | null {
  let least: NameState | null = null;
  for (const { head } of sources) {
    if (head !== null && (least === null || compareEntries(head, least) < 0)) least = head;
  }
  return least;
}

/** Implements Delta.list: merges `generations`, newest first, over the table. */
export function listNames(
  generations: readonly Generation[],
  table: TableView | null,
  dir: Ino,
  after: number,
  max: number,
): NameState[] {
  const sources: Source[] = [];
  for (const generation of generations) {
    const names = generation.dirs.get(dir);
    if (names !== undefined) sources.push(new MemorySource(names, after));
  }
  if (table?.hasNames(dir)) sources.push(new TableSource(table, dir, after, max + 1));
  const out: NameState[] = [];
  for (;;) {
    const least = leastHead(sources);
    if (least === null) return out;
    // A listing is resumed by cookie, so it may stop only between different cookies.
    if (out.length >= max && least.cookie !== out[out.length - 1]!.cookie) return out;
    if (least.present) out.push(least);
    for (const source of sources) {
      if (source.head !== null && compareEntries(source.head, least) === 0) source.advance();
    }
  }
}
