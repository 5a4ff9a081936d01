/**
 * Adds directories below /run that packages expect. What a built tree has in /run stems from the build, and is
 * left out. On a machine that boots, systemd creates these directories, as tmpfiles.d(5) says. An env that is
 * only entered by programs has no systemd, and a service's script would fail at once (`mkdir
 * /var/lock/apache2`). So the template has them.
 */
import type { Name } from '../../../base/ids.ts';
import { isReg, S_IFDIR } from '../../../base/mode.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { Store } from '../../../store/store.ts';
import { accountsOf } from '../../merge/accounts.ts';
import { contentAt, contentOf } from '../../templates/file-content.ts';
import { implicitDirectory, nodeAt, type TreeNode } from '../../templates/tree.ts';

/** Directories with rules. Of two files with the same name, the one in the first directory counts. */
const RULE_DIRS = ['/etc/tmpfiles.d', '/usr/lib/tmpfiles.d'];
/** The directory in which any program may put lock files, and to which /var/lock leads. */
const LOCK: RunDir = { path: '/run/lock', mode: 0o1777, user: '0', group: '0' };
const DEFAULT_MODE = 0o755;

interface RunDir {
  readonly path: string;
  readonly mode: number;
  /** A name or a number. */
  readonly user: string;
  readonly group: string;
}

/**
 * Adds the directories to a tree whose objects are published. What the tree already has there stays.
 * @param below what an app was installed on; null for an OS, which gets /run/lock, too
 */
export function addRunDirs(store: Store, tree: TreeNode, below: LowerTree | null): void {
  const idOf = accountNumbers(store, tree, below);
  const wanted = [...(below === null ? [LOCK] : []), ...ruledDirs(store, tree)];
  for (const { path, mode, user, group } of wanted) {
    const uid = idOf.user(user);
    const gid = idOf.group(group);
    // Like systemd-tmpfiles, skip directories for unknown users.
    if (uid === null || gid === null || nodeAt(tree, path) !== null) continue;
    const parent = makeParents(tree, path);
    const name = path.slice(path.lastIndexOf('/') + 1) as Name;
    parent?.children?.set(name, { ...implicitDirectory(), mode: S_IFDIR | mode, uid, gid });
  }
}

/** Returns the parent directory, creating what is missing; null if something else is in the way. */
function makeParents(tree: TreeNode, path: string): TreeNode | null {
  let node = tree;
  for (const name of path.split('/').slice(1, -1) as Name[]) {
    if (node.children === null) return null;
    const child = node.children.get(name) ?? implicitDirectory();
    node.children.set(name, child);
    node = child;
  }
  return node.children === null ? null : node;
}

function* ruledDirs(store: Store, tree: TreeNode): Generator<RunDir> {
  const files = new Map<string, string>();
  for (const dir of RULE_DIRS) {
    for (const [name, { mode, object }] of nodeAt(tree, dir)?.children ?? []) {
      if (!name.endsWith('.conf') || files.has(name)) continue;
      // A link to /dev/null disables the file of that name.
      files.set(name, isReg(mode) && object !== '' ? contentOf(store, { object }, name) : '');
    }
  }
  // In the order of their names, as systemd-tmpfiles reads them.
  for (const [, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const line of content.split('\n')) {
      const dir = parseLine(line);
      if (dir !== null) yield dir;
    }
  }
}

/** Types of lines that create a directory, with their modifiers (such as "only at boot"). */
const MAKES_DIR = /^[dDvqQ][!=+^~-]*$/;
const RUN = /^(?:\/var)?(\/run\/.+?)\/*$/;

/**
 * Parses a line such as `d /run/php 0755 www-data www-data -`. Null if it creates no directory below /run, or
 * depends on the machine (%).
 */
function parseLine(line: string): RunDir | null {
  const [type = '', place = '', mode = '-', user = '-', group = '-'] = line.trim().split(/\s+/);
  const [, path = ''] = RUN.exec(place) ?? [];
  const parts = path.split('/').slice(1);
  const isPlain = !/[%"\\]/.test(place) && !parts.some((part) => /^[.]{0,2}$/.test(part));
  if (!MAKES_DIR.test(type) || path === '' || !isPlain) return null;
  const octal = mode.replace(/^[~:]+/, '');
  return {
    path,
    mode: /^[0-7]+$/.test(octal) ? Number.parseInt(octal, 8) & 0o7777 : DEFAULT_MODE,
    user: user === '-' ? '0' : user.replace(/^:/, ''),
    group: group === '-' ? '0' : group.replace(/^:/, ''),
  };
}

function accountNumbers(store: Store, tree: TreeNode, below: LowerTree | null) {
  const content = (file: string): string => {
    const node = nodeAt(tree, file);
    if (node !== null && isReg(node.mode)) return contentOf(store, node, file);
    return below === null ? '' : (contentAt(store, below, file) ?? '');
  };
  const { users, groups } = accountsOf(content('/etc/passwd'), content('/etc/group'));
  const uids = new Map(users.map(({ name, uid }) => [name, uid]));
  const gids = new Map(groups.map(({ name, gid }) => [name, gid]));
  const find = (ids: ReadonlyMap<string, number>) => (name: string) =>
    /^\d+$/.test(name) ? Number(name) : (ids.get(name) ?? null);
  return { user: find(uids), group: find(gids) };
}
