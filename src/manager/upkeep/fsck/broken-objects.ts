/** Reports objects that can't be read as they were imported: who needs them, and how to get them back. */
import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../../../base/ids.ts';
import { removal } from './composition-removal.ts';
import { type CheckName, damage, type Found } from './finding.ts';
import type { Job } from './job.ts';
import { describeUses, importAgain, onlyComposed, usesOf } from './object-uses.ts';

/** An object that is missing or damaged. */
export interface BrokenObject {
  readonly id: ObjectId;
  readonly check: CheckName;
  readonly what: string;
  /** True if something is in its place, which would keep an import from writing it. */
  readonly file: boolean;
}

/** Returns the directory that damaged objects are moved to, in case somebody wants to examine them. */
export const damagedDir = (job: Job): string => path.join(job.store.objects.dir, 'damaged');

/** Yields a finding for each broken object. */
export function* brokenObjects(job: Job, broken: readonly BrokenObject[]): Generator<Found> {
  if (broken.length === 0) return;
  const uses = usesOf(job, new Set(broken.map(({ id }) => id)));
  for (const { id, check, what, file } of broken) {
    const needed = `${what}; ${describeUses(job, uses.get(id))}`;
    const composed = onlyComposed(job, uses.get(id));
    if (composed.length > 0) {
      yield composedAgain(job, { id, check, what: needed, file }, composed);
      continue;
    }
    const again = importAgain(job, uses.get(id));
    const repair = file ? { files: () => moveAside(job, id), stays: true } : {};
    const moved = job.options.repair
      ? `it was moved to ${damagedDir(job)}; `
      : `byref fsck --repair moves it to ${damagedDir(job)}; then `;
    yield damage(check, `object ${id}`, needed, file ? moved + again : again, repair);
  }
}

/** Removes the compositions that have the object: making them again restores its bytes. */
function composedAgain(
  job: Job,
  { id, check, what, file }: BrokenObject,
  compositions: readonly number[],
): Found {
  const removals = compositions.map((each) => removal(job, each));
  const where = `object ${id}`;
  const hindered = removals.find(({ rows }) => rows === undefined);
  if (hindered !== undefined) return damage(check, where, what, hindered.remedy);
  const rows = (): void => {
    for (const each of removals) each.rows?.();
  };
  const files = file
    ? { files: () => rmSync(job.store.objects.path(id), { recursive: true }) }
    : {};
  return damage(check, where, what, removals[0]!.remedy, { rows, ...files });
}

/** Moves a damaged object away, so that the next import of the same bytes writes it. */
function moveAside(job: Job, id: ObjectId): void {
  const from = job.store.objects.path(id);
  if (lstatSync(from, { throwIfNoEntry: false }) === undefined) return;
  mkdirSync(damagedDir(job), { recursive: true, mode: 0o700 });
  renameSync(from, path.join(damagedDir(job), id));
}
