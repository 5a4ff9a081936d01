/**
 * Names inodes so that another machine finds them: the numbers of a template's files are the store's own.
 *
 *     #8000000000006    a file or directory of the env's own, by its number
 *     /usr/lib          a directory of the templates ("/" is the root)
 *     =/usr/bin/a       the file that the env's templates show there
 *     2=/usr/bin/a      the file that another version has there: the third of the manifest's `versions`
 *     ?a3f              a file of which no version is kept, by its number: it becomes the env's own
 *
 * Paths are text, escaped as nameToText() does.
 */
import {
  type Ino,
  isPrivateIno,
  nameFromText,
  nameToText,
  PRIVATE_INO_BASE,
  ROOT_INO,
  SECOND_NODE,
} from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { StackRef, Store } from '../../store/store.ts';
import type { VersionName } from './manifest.ts';

/** A name of an inode in a backup. */
export type Ref = string;

/** A place that a backup names, taken apart. */
type Target =
  | { readonly kind: 'own'; readonly ino: Ino }
  | { readonly kind: 'directory'; readonly path: readonly string[] }
  | { readonly kind: 'file'; readonly version: number | null; readonly path: readonly string[] }
  | { readonly kind: 'lost' };

/** Names the inodes of one env. */
export class RefNames {
  /** The versions that are not in the stack, and that were named. */
  readonly versions: VersionName[] = [];
  private readonly store: Store;
  private readonly lower: LowerTree;
  private readonly known = new Map<string, number>();

  /** @param stack the versions that the env sees */
  constructor(store: Store, stack: readonly StackRef[]) {
    this.store = store;
    this.lower = store.lowerTree(stack);
  }

  /** Returns the name of an inode that the env has, or has something in. */
  of(ino: Ino): Ref {
    if (isPrivateIno(ino)) return `#${ino.toString(16)}`;
    if (ino === ROOT_INO) return '/';
    const directory = this.store.dirPath(ino);
    if (directory !== null) return directory;
    // One that another template hides is not shown.
    const shown = this.lower.inode(ino) === null ? [] : this.lower.names(ino);
    const place = shown.find(({ dir, name }) => this.lower.lookup(dir, name)?.ino === ino);
    if (place !== undefined) return `=${this.path(place.dir)}/${nameToText(place.name)}`;
    const origin = this.store.fileOrigin(ino);
    if (origin?.versions == null) return `?${ino.toString(16)}`;
    const { templateId, dir, name, versions } = origin;
    const version = this.version({ templateId, version: versions.since });
    return version === null
      ? `?${ino.toString(16)}`
      : `${version}=${this.path(dir)}/${nameToText(name)}`;
  }

  private path(dir: Ino): string {
    return dir === ROOT_INO ? '' : (this.store.dirPath(dir) ?? '');
  }

  private version(ref: StackRef): number | null {
    const key = `${ref.templateId}@${ref.version}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const row = this.store.catalog.byId(ref.templateId);
    const isThere = this.store.catalog.version(ref.templateId, ref.version) !== null;
    if (row === null || row.kind === 'composition' || !isThere) return null;
    const identity = this.store.identity(ref);
    const at = this.versions.push({ template: row.name, version: ref.version, identity }) - 1;
    this.known.set(key, at);
    return at;
  }
}

/** Returns true for the name of a file that the env's stack does not show: its bytes have to come along. */
export const isBeyondStack = (ref: Ref): boolean => !ref.startsWith('=') && !ref.startsWith('/');

/** Takes a name apart. @throws RangeError if it is none */
function parse(ref: Ref): Target {
  const own = /^#([0-9a-f]{13})$/.exec(ref)?.[1];
  if (own !== undefined) {
    const ino = Number.parseInt(own, 16) as Ino;
    if (ino >= PRIVATE_INO_BASE && ino < SECOND_NODE) return { kind: 'own', ino };
  }
  if (/^\?[0-9a-f]{1,13}$/.test(ref)) return { kind: 'lost' };
  const [, version, rest = ref] = /^(\d{0,6})=(\/.*)$/s.exec(ref) ?? [];
  const path = rest.split('/').slice(1);
  const isPath = path.every((name) => name !== '' && name !== '.' && name !== '..');
  if (rest === '/' && version === undefined) return { kind: 'directory', path: [] };
  if (!rest.startsWith('/') || !isPath) throw new RangeError(`"${ref}" names no inode`);
  if (version === undefined) return { kind: 'directory', path };
  return { kind: 'file', version: version === '' ? null : Number(version), path };
}

/** Finds the inodes that a backup names, in this store. */
export class RefInodes {
  private readonly store: Store;
  private readonly lower: LowerTree;
  private readonly versions: readonly (LowerTree | null)[];
  private readonly allocate: () => Ino;
  private readonly known = new Map<Ref, Ino>();

  /**
   * @param lower what the env will see
   * @param versions those of the manifest; null: they are not in this store
   * @param allocate gives a number for a file that no version here has
   */
  constructor(
    store: Store,
    lower: LowerTree,
    versions: readonly (LowerTree | null)[],
    allocate: () => Ino,
  ) {
    this.store = store;
    this.lower = lower;
    this.versions = versions;
    this.allocate = allocate;
  }

  /** Returns the number that an inode has here. @throws RangeError for a text that names none */
  of(ref: Ref): Ino {
    let ino = this.known.get(ref);
    if (ino === undefined) {
      ino = this.find(parse(ref)) ?? this.allocate();
      this.known.set(ref, ino);
    }
    return ino;
  }

  private find(target: Target): Ino | null {
    if (target.kind === 'own') return target.ino;
    if (target.kind === 'lost') return null;
    if (target.kind === 'directory') return this.store.dirAt(target.path.map(nameFromText));
    const { version, path } = target;
    if (version !== null) {
      const lower = this.versions[version] ?? null;
      return lower === null ? null : fileAt(this.store, lower, path);
    }
    const found = fileAt(this.store, this.lower, path);
    if (found === null) throw new RangeError(`the templates here have no /${path.join('/')}`);
    return found;
  }
}

function fileAt(store: Store, lower: LowerTree, path: readonly string[]): Ino | null {
  const names = path.map(nameFromText);
  const name = names.pop();
  const found = name === undefined ? null : lower.lookup(store.dirAt(names), name);
  return found === null || isDir(found.mode) ? null : found.ino;
}
