/** What is installed in a template, as dpkg's database there says. */
import { type Name, nameToText } from '../base/ids.ts';
import type { TemplateRow } from '../codec/store-rows.ts';
import type { Store } from '../store/store.ts';
import { contentOf } from '../template/file-content.ts';
import { nodeAt, type TreeNode } from '../template/tree.ts';
import { fileAt } from '../template/walk-version.ts';
import { parseStanzas } from './deb822.ts';

export interface Package {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** By NAME, or NAME:ARCHITECTURE where two of that name are installed. */
export type Packages = ReadonlyMap<string, Package>;

export interface PackageChange {
  readonly name: string;
  /** Null: it is new. */
  readonly was: string | null;
  /** Null: it is gone. */
  readonly is: string | null;
}

export const STATUS_PATH = '/var/lib/dpkg/status';

/** @param status the content of /var/lib/dpkg/status */
export function parsePackages(status: string): Packages {
  const all = new Map<string, Package>();
  for (const stanza of parseStanzas(status)) {
    const name = stanza.get('package') ?? '';
    if (name === '' || !/ installed$/.test(stanza.get('status') ?? '')) continue;
    const version = stanza.get('version') ?? '';
    const architecture = stanza.get('architecture') ?? '';
    all.set(all.has(name) ? `${name}:${architecture}` : name, { name, version, architecture });
  }
  return all;
}

/** What the tree's dpkg says; the objects must be published. None if it has no dpkg. */
export function packagesOfTree(store: Store, tree: TreeNode): Packages {
  return packagesIn(store, nodeAt(tree, STATUS_PATH));
}

/** @param status the file; null if there is none */
function packagesIn(store: Store, status: Pick<TreeNode, 'object'> | null): Packages {
  const object = status?.object ?? '';
  return object === ''
    ? new Map()
    : parsePackages(nameToText(contentOf(store, { object }, STATUS_PATH) as Name));
}

/** What dpkg says in a version of a template. */
export function packagesOfVersion(
  store: Store,
  { id }: Pick<TemplateRow, 'id'>,
  version: number,
): Packages {
  return packagesIn(store, fileAt(store.layers([{ templateId: id, version }]), STATUS_PATH));
}

/** How many are installed; null if its dpkg's database can't be read: then the store is damaged, and can still be looked at. */
export function packageCount(
  store: Store,
  template: Pick<TemplateRow, 'id'>,
  version: number,
): number | null {
  try {
    return ownPackages(store, template, version).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return null;
  }
}

/** 0, a system without packages or a template that is no system, shows as nothing. */
export const packageCountText = (count: number | null): string =>
  count === null ? '?' : String(count || '');

/** Of an app: what it adds to the version of the OS template that it was installed on, or has another version of. */
export function ownPackages(
  store: Store,
  template: Pick<TemplateRow, 'id'>,
  version: number,
): Packages {
  const all = packagesOfVersion(store, template, version);
  const base = store.catalog.version(template.id, version)?.base ?? null;
  return base === null
    ? all
    : without(all, packagesOfVersion(store, { id: base.templateId }, base.version));
}

/** Those that the base has not, or not in that version. */
export function without(all: Packages, base: Packages): Packages {
  return new Map([...all].filter(([name, { version }]) => base.get(name)?.version !== version));
}

/** By name. */
export function packageChanges(before: Packages, after: Packages): PackageChange[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((name) => {
    const was = before.get(name)?.version ?? null;
    const is = after.get(name)?.version ?? null;
    return was === is ? [] : [{ name, was, is }];
  });
}

/** "openssl 3.0.15-1 -> 3.0.16-1; + curl 7.88.1-10; - wget 1.21.3-1" */
export const changesText = (changes: readonly PackageChange[]): string =>
  changes
    .map(({ name, was, is }) => {
      if (was === null) return `+ ${name} ${is}`;
      return is === null ? `- ${name} ${was}` : `${name} ${was} -> ${is}`;
    })
    .join('; ');
