/** Reports objects that can't be read as they were imported: who needs them, and how to get them back. */
import { rmSync } from 'node:fs';
import type { ObjectId } from '../../../base/ids.ts';
import { decodeObject } from '../../../codec/store-rows.ts';
import { objectKey } from '../../../store/keys.ts';
import { findCopies, type ObjectCopy } from '../objects/find-copies.ts';
import { restoreObject } from '../objects/restore-object.ts';
import { removal } from './composition-removal.ts';
import { type BrokenObject, damage, type Found } from './finding.ts';
import type { Job } from './job.ts';
import { describeUses, importAgain, type ObjectUse, onlyComposed, usesOf } from './object-uses.ts';
import {
  type FetchedObject,
  PackageCopies,
  type PackageOfObject,
  packageText,
} from './package-copies.ts';
import { readRow } from './rows.ts';

/** Bytes of objects that were looked for in packages. */
export type Fetched = ReadonlyMap<ObjectId, FetchedObject>;

/** What is known of broken objects: who needs them, and where their bytes may be. */
class Sources {
  readonly uses: ReadonlyMap<ObjectId, readonly ObjectUse[]>;
  /** Files of envs that may have the bytes. */
  readonly copies: ReadonlyMap<ObjectId, ObjectCopy>;
  /** The packages of those that no env has. */
  readonly inPackages = new Map<ObjectId, PackageOfObject>();
  readonly packages: PackageCopies;

  constructor(job: Job, broken: readonly BrokenObject[]) {
    this.uses = usesOf(job, new Set(broken.map(({ id }) => id)));
    this.copies = findCopies(job.root, sizesOf(job, broken, this.uses));
    this.packages = new PackageCopies(job);
    for (const { id } of broken) {
      const found = this.copies.has(id) ? null : this.packages.packageOf(this.uses.get(id));
      if (found !== null) this.inPackages.set(id, found);
    }
  }
}

/**
 * Fetches the packages of broken objects that no env has a copy of. See PackageCopies.fetch().
 * @param job need not be one that repairs
 */
export function fetchObjects(job: Job, broken: readonly BrokenObject[]): Fetched {
  const { packages, inPackages } = new Sources(job, broken);
  return packages.fetch(inPackages);
}

/**
 * Yields a finding for each broken object. A repair leaves those that may be in a package to `job.toFetch`, unless they were fetched.
 * @param fetched what fetchObjects() has returned
 */
export function* brokenObjects(
  job: Job,
  broken: readonly BrokenObject[],
  fetched: Fetched | null = null,
): Generator<Found> {
  if (broken.length === 0) return;
  const { uses, copies, inPackages } = new Sources(job, broken);
  for (const each of broken) {
    const { id, check, what, file } = each;
    const needed = { id, check, what: `${what}; ${describeUses(job, uses.get(id))}`, file };
    const composed = onlyComposed(job, uses.get(id));
    const copy = copies.get(id);
    if (copy !== undefined) yield copiedBack(job, needed, copy);
    else if (composed.length > 0) yield composedAgain(job, needed, composed);
    else if (job.options.repair && fetched === null && inPackages.has(id))
      job.toFetch.set(id, each);
    else yield fromPackage(job, needed, inPackages.get(id), fetched?.get(id), uses.get(id));
  }
}

/** Returns the sizes of broken objects, as their rows say, or else a link record. */
function sizesOf(
  job: Job,
  broken: readonly BrokenObject[],
  uses: ReadonlyMap<ObjectId, readonly ObjectUse[]>,
): Map<ObjectId, number> {
  const sizes = new Map<ObjectId, number>();
  for (const { id } of broken) {
    const row = readRow(job.tables, 'objects', objectKey(id), decodeObject) ?? uses.get(id)?.[0];
    if (row !== undefined) sizes.set(id, row.size);
  }
  return sizes;
}

/** Replaces the object by the same bytes that an env has. */
function copiedBack(job: Job, { id, check, what }: BrokenObject, copy: ObjectCopy): Found {
  const files = (): void => restoreObject(job.store.objects, id, copy.file);
  const remedy = `byref fsck --repair replaces it by the same bytes, which ${job.envName(copy.env)} has as a file of its own`;
  return damage(check, `object ${id}`, what, remedy, { files });
}

/** Replaces the object by the bytes in a package; where there are none, see imported(). */
function fromPackage(
  job: Job,
  needed: BrokenObject,
  found: PackageOfObject | undefined,
  fetched: FetchedObject | undefined,
  uses: readonly ObjectUse[] | undefined,
): Found {
  const again = importAgain(job, uses);
  if (found === undefined) return imported(job, needed, again);
  const { id, check, what } = needed;
  const where = `object ${id}`;
  const text = packageText(found.record);
  if (fetched === undefined) {
    const remedy = `byref fsck --repair fetches it from the package repository (${text}); or ${again}`;
    return damage(check, where, what, remedy);
  }
  if ('why' in fetched)
    return imported(job, needed, `${again} (the package repository has it not: ${fetched.why})`);
  const files = (): void => restoreObject(job.store.objects, id, fetched.file);
  const remedy = `it is replaced by the same bytes from the package repository (${text})`;
  return damage(check, where, what, remedy, { files });
}

/** Makes room for the bytes that an import brings. */
function imported(job: Job, { id, check, what, file }: BrokenObject, again: string): Found {
  const { objects } = job.store;
  const repair = file ? { files: () => objects.moveAside(id), stays: true } : {};
  const moved = job.options.repair
    ? `it was moved to ${objects.damagedDir}; `
    : `byref fsck --repair moves it to ${objects.damagedDir}; then `;
  return damage(check, `object ${id}`, what, file ? moved + again : again, repair);
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
