/** Tells whether byref alone is the reason that an env has a package otherwise than its templates: dpkg had no part in it. */
import type { Ino, Name } from '../../base/ids.ts';
import { FLAG_KEPT } from '../../codec/inode-record.ts';
import { HIDDEN } from '../../codec/steps.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { isPresent, type PackageRecord } from '../merge/packages.ts';

const NO_PACKAGE = { name: '', architecture: '' };

/** The places in which isFormerVersion() looks up dpkg's lists of an env. */
export interface InfoOfEnv {
  readonly view: DeltaView;
  readonly lower: LowerTree;
  readonly infoDir: Ino;
}

/**
 * True if the package is just what a former version of the templates had, which a patch kept for the env, or is absent
 * because a patch hid it. dpkg's list of the package's files tells: dpkg writes it anew with any version that it installs,
 * and changes it when it removes one.
 * @param env its changes, what its templates have, and dpkg's directory of lists there
 * @param template the record of its templates, null if they have none
 * @param mine the env's record, null if it has none
 */
export function isFormerVersion(
  { view, lower, infoDir }: InfoOfEnv,
  template: PackageRecord | null,
  mine: PackageRecord | null,
): boolean {
  const { name, architecture } = template ?? mine ?? NO_PACKAGE;
  const lists = [`${name}.list`, `${name}:${architecture}.list`] as Name[];
  const own = lists.flatMap((list) => view.name(infoDir, list) ?? []);
  if (!isPresent(mine)) {
    return own.length > 0 && own.every(({ ino, type }) => ino === 0 && type === HIDDEN);
  }
  if (own.length === 0) {
    return template !== null && lists.some((list) => lower.lookup(infoDir, list) !== null);
  }
  return own.every(({ ino, type }) => {
    if (ino === 0) return type === HIDDEN;
    const record = view.inode(ino);
    // The same holds for a list that byref has shortened; dpkg would make a new file.
    return record !== null && (record.flags & FLAG_KEPT) !== 0;
  });
}
