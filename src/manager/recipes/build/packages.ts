/** Finds out what is installed in a template, from dpkg's database there. */
import type { TemplateRow, VersionBase } from '../../../codec/store-rows.ts';
import type { Store } from '../../../store/store.ts';
import { STATUS_PATH } from '../../merge/packages.ts';
import { contentOf } from '../../templates/file-content.ts';
import { nodeAt, type TreeNode } from '../../templates/tree.ts';
import { fileAt } from '../../templates/walk-version.ts';

/** An installed package. */
export interface Package {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** Packages by NAME, or by NAME:ARCHITECTURE where two of that name are installed. */
export type Packages = ReadonlyMap<string, Package>;

/** A package that differs between two versions. */
export interface PackageChange {
  readonly name: string;
  /** The version before; null if it is new. */
  readonly was: string | null;
  /** The version now; null if it was removed. */
  readonly is: string | null;
}

/**
 * Returns the installed packages. It looks only at the four fields that matter, because `template list` reads
 * this for every template: 500 packages take a millisecond, and seven if all fields are parsed.
 * @param status the content of /var/lib/dpkg/status, a binary string
 */
export function parsePackages(status: string): Packages {
  const all = new Map<string, Package>();
  let [name, version, architecture, installed] = ['', '', '', false];
  const end = (): void => {
    if (name !== '' && installed) {
      const known = all.has(name) ? `${name}:${architecture}` : name;
      all.set(known, { name, version, architecture });
    }
    [name, version, architecture, installed] = ['', '', '', false];
  };
  for (let at = 0; at < status.length; ) {
    const newline = status.indexOf('\n', at);
    const to = newline < 0 ? status.length : newline;
    const value = (field: string): string | null =>
      status.startsWith(field, at) ? status.slice(at + field.length, to).trim() : null;
    switch (status.charAt(at)) {
      case '\n':
        end();
        break;
      case 'P':
        name = value('Package:') ?? name;
        break;
      case 'V':
        version = value('Version:') ?? version;
        break;
      case 'A':
        architecture = value('Architecture:') ?? architecture;
        break;
      case 'S':
        installed = value('Status:')?.endsWith(' installed') ?? installed;
        break;
      default:
        break;
    }
    at = to + 1;
  }
  end();
  return all;
}

/** Returns the packages in a tree whose objects are published; none if it has no dpkg. */
export function packagesOfTree(store: Store, tree: TreeNode): Packages {
  return packagesIn(store, nodeAt(tree, STATUS_PATH));
}

/** Returns the packages in a status file; none for null. */
function packagesIn(store: Store, status: Pick<TreeNode, 'object'> | null): Packages {
  const object = status?.object ?? '';
  return object === '' ? new Map() : parsePackages(contentOf(store, { object }, STATUS_PATH));
}

/** Returns the packages in a version of a template. */
export function packagesOfVersion(
  store: Store,
  { id }: Pick<TemplateRow, 'id'>,
  version: number,
): Packages {
  return packagesIn(store, fileAt(store.lowerTree([{ templateId: id, version }]), STATUS_PATH));
}

/**
 * Returns how many packages are installed; null if dpkg's database can't be read: the store is damaged then,
 * but can still be examined.
 */
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

/** Formats a count. 0 (a system without packages, or a template that is not a system) is shown as nothing. */
export const packageCountText = (count: number | null): string =>
  count === null ? '?' : String(count || '');

/**
 * Returns an app's packages that the version of the OS template on which it was installed lacks, or has in
 * another version.
 */
export function ownPackages(
  store: Store,
  template: Pick<TemplateRow, 'id'>,
  version: number,
): Packages {
  const all = packagesOfVersion(store, template, version);
  const base = store.catalog.version(template.id, version)?.base ?? null;
  return base === null ? all : without(all, packagesOfBase(store, base));
}

/**
 * Packages of bases, read once for each open store: many apps are on one version of an OS template, and a
 * version never changes.
 */
const bases = new WeakMap<Store, Map<string, Packages>>();

function packagesOfBase(store: Store, { templateId, version }: VersionBase): Packages {
  const known = bases.get(store) ?? new Map<string, Packages>();
  bases.set(store, known);
  const key = `${templateId}@${version}`;
  const packages = known.get(key) ?? packagesOfVersion(store, { id: templateId }, version);
  known.set(key, packages);
  return packages;
}

/** Returns the packages that the base lacks, or has in another version. */
export function without(all: Packages, base: Packages): Packages {
  return new Map([...all].filter(([name, { version }]) => base.get(name)?.version !== version));
}

/** Returns the differences, by name. */
export function packageChanges(before: Packages, after: Packages): PackageChange[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((name) => {
    const was = before.get(name)?.version ?? null;
    const is = after.get(name)?.version ?? null;
    return was === is ? [] : [{ name, was, is }];
  });
}

/** Describes changes: "openssl 3.0.15-1 -> 3.0.16-1; + curl 7.88.1-10; - wget 1.21.3-1". */
export const changesText = (changes: readonly PackageChange[]): string =>
  changes
    .map(({ name, was, is }) => {
      if (was === null) return `+ ${name} ${is}`;
      return is === null ? `- ${name} ${was}` : `${name} ${was} -> ${is}`;
    })
    .join('; ');
