/** Which package a file is of, as dpkg's lists in a template say. */
import { readFileSync } from 'node:fs';
import type { Ino, Name } from '../base/ids.ts';
import { isReg } from '../base/mode.ts';
import type { TemplateRow } from '../codec/store-rows.ts';
import type { Layers } from '../fs/ports.ts';
import type { Store } from '../store/store.ts';
import { dirAt, sortedEntries } from '../template/walk-version.ts';
import { packagesOfVersion } from './packages.ts';

const INFO_PATH = '/var/lib/dpkg/info';
const LIST = /^(.+)[.]list$/;
/** Directories that are symlinks into /usr now, under which packages still list their files. */
const MERGED = /^\/usr(\/(?:bin|sbin|lib|lib32|lib64|libx32|libo32)\/)/;

/**
 * @param path of no directory; absolute, without a symlink on the way; a binary string
 * @returns "NAME VERSION"; null if no package has it
 */
export function packageOwning(
  store: Store,
  template: Pick<TemplateRow, 'id'>,
  version: number,
  path: string,
): string | null {
  const layers = store.layers([{ templateId: template.id, version }]);
  const name = listing(store, layers, new Set([path, path.replace(MERGED, '$1')]));
  if (name === null) return null;
  const packages = packagesOfVersion(store, template, version);
  const known = packages.get(name) ?? packages.get(name.replace(/:.*/, ''));
  return known === undefined ? name : `${known.name} ${known.version}`;
}

/** The package of the first list that has one of the paths. */
function listing(store: Store, layers: Layers, paths: ReadonlySet<string>): string | null {
  const dir: Ino | null = dirAt(layers, INFO_PATH);
  if (dir === null) return null;
  for (const [file, record] of sortedEntries(layers, dir)) {
    const [, name] = LIST.exec(file as Name) ?? [];
    if (name === undefined || !isReg(record.mode) || record.object === '') continue;
    const lines = readFileSync(store.objects.path(record.object), 'latin1').split('\n');
    if (lines.some((line) => paths.has(line))) return name;
  }
  return null;
}
