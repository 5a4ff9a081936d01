/** Reads the records of patches, rollbacks, pins and changes of apps. */
import { ByrefError } from '../base/error.ts';
import type { PatchRecord } from '../codec/patch-record.ts';
import type { Store } from '../store/store.ts';

/** A record as `byref history` shows it: its times are ISO 8601, UTC. */
export interface HistoryEntry extends Omit<PatchRecord, 'startedMs' | 'endedMs'> {
  readonly started: string;
  /** null while it is under way, or waits for a decision. */
  readonly ended: string | null;
}

/**
 * Lists records, newest first: all, or those of a template or an env.
 * @throws ByrefError 'notFound' for a name that nothing has or had
 */
export function history(store: Store, name: string | null): HistoryEntry[] {
  const all = Array.from(store.patches.heads(), (head) => store.patches.whole(head));
  if (name === null) return all.map(entryOf);
  const env = store.env(name);
  const found = all.filter(
    ({ template, envs }) =>
      template === name || envs.some((each) => each.name === name || each.id === env?.id),
  );
  if (found.length === 0 && env === null && store.template(name) === null) {
    const message = `there is no template or env "${name}"`;
    throw new ByrefError('notFound', message, 'See byref template list and byref list.');
  }
  return found.map(entryOf);
}

/** Finds one record. @param id a number, as people give it @throws ByrefError 'notFound' */
export function historyOf(store: Store, id: string): HistoryEntry {
  const record = /^\d+$/.test(id) ? store.patches.get(Number(id)) : null;
  if (record !== null) return entryOf(record);
  throw new ByrefError('notFound', `there is no patch ${id}`, 'See byref history.');
}

function entryOf({ startedMs, endedMs, ...record }: PatchRecord): HistoryEntry {
  return { ...record, started: iso(startedMs), ended: endedMs === null ? null : iso(endedMs) };
}

const iso = (ms: number): string => new Date(ms).toISOString();
