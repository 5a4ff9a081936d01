/** Finds the package that a file belongs to, by dpkg's lists in a template. */
import type { Ino } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import type { TemplateRow } from '../../../codec/store-rows.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { StackRef, Store } from '../../../store/store.ts';
import { contentOf } from '../../templates/file-content.ts';
import { dirAt, sortedEntries } from '../../templates/walk-version.ts';
import { packagesOfVersion } from './packages.ts';

const INFO_PATH = '/var/lib/dpkg/info';
const LIST = /^(.+)[.]list$/;
/** Directories that are now symlinks into /usr, and under which packages still list their files. */
const MERGED_FROM = /^\/(?:bin|sbin|lib|lib32|lib64|libx32|libo32)\//;
const MERGED = /^\/usr(\/(?:bin|sbin|lib|lib32|lib64|libx32|libo32)\/)/;

/**
 * Returns the package that has a file, as "NAME VERSION"; null if none has it.
 * @param path not of a directory; absolute, without a symlink on the way; a binary string
 */
export function packageOwning(
  store: Store,
  template: Pick<TemplateRow, 'id'>,
  version: number,
  path: string,
): string | null {
  const lower = store.lowerTree([{ templateId: template.id, version }]);
  const name = listing(store, lower, new Set([path, path.replace(MERGED, '$1')]));
  if (name === null) return null;
  const packages = packagesOfVersion(store, template, version);
  const known = packages.get(name) ?? packages.get(name.replace(/:.*/, ''));
  return known === undefined ? name : `${known.name} ${known.version}`;
}

/** Returns the packages in a version of a template, by the paths that they list. */
export function packagesByPath(store: Store, ref: StackRef): Map<string, string> {
  const owners = new Map<string, string>();
  for (const { name, lines } of listsOf(store, store.lowerTree([ref]))) {
    for (const line of lines) owners.set(MERGED_FROM.test(line) ? `/usr${line}` : line, name);
  }
  return owners;
}

/** Returns the package with the first list that has one of the paths. */
function listing(store: Store, lower: LowerTree, paths: ReadonlySet<string>): string | null {
  for (const { name, lines } of listsOf(store, lower)) {
    if (lines.some((line) => paths.has(line))) return name;
  }
  return null;
}

/** Yields what each package has, as dpkg lists it. */
function* listsOf(store: Store, lower: LowerTree): Generator<{ name: string; lines: string[] }> {
  const dir: Ino | null = dirAt(lower, INFO_PATH);
  if (dir === null) return;
  for (const [file, record] of sortedEntries(lower, dir)) {
    const [, name] = LIST.exec(file) ?? [];
    if (name === undefined || !isReg(record.mode) || record.object === '') continue;
    yield { name, lines: contentOf(store, record, `${INFO_PATH}/${file}`).split('\n') };
  }
}
