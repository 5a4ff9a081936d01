/**
 * What of a built tree is not the template's: what belongs to one machine, or to the moment of the build. With these
 * rules the same packages give the same version. docs/CLI.md has them for its readers.
 */
import { createHash } from 'node:crypto';
import { matchesPath } from '../../../base/path-patterns.ts';
import type { TreeNode } from '../../templates/tree.ts';

/** Not in the template. A pattern includes what is below; `DIR/*` leaves the directory itself. */
export const LEFT_OUT = [
  // Mounted when an env starts.
  '/proc/*',
  '/run/*',
  '/sys/*',
  '/tmp/*',
  '/var/tmp/*',
  // Of one machine: what every env must have as its own is not in a template.
  '/etc/hostname',
  '/etc/resolv.conf',
  '/etc/ssh/ssh_host_*',
  '/var/lib/dbus/machine-id',
  '/var/lib/systemd/credential.secret',
  '/var/lib/systemd/random-seed',
  // Made again when needed.
  '/var/cache/apt/*.bin',
  '/var/cache/apt/archives/*.deb',
  '/var/cache/apt/archives/lock',
  '/var/cache/apt/archives/partial/*',
  '/var/cache/debconf/*-old',
  '/var/cache/ldconfig/aux-cache',
  '/var/cache/man/*',
  '/var/lib/apt/lists/*_*',
  '/var/lib/apt/lists/lock',
  '/var/lib/apt/lists/partial/*',
  // The same with the build's dates in it.
  '/etc/xml/*.old',
  '/usr/share/info/dir.old',
  '/var/lib/dpkg/*-old',
  '/var/lib/sgml-base/supercatalog.old',
  '/var/lib/ucf/hashfile.*',
  '/var/lib/ucf/registry.*',
  '/etc/group-',
  '/etc/gshadow-',
  '/etc/passwd-',
  '/etc/shadow-',
  '/etc/subgid-',
  '/etc/subuid-',
  '/var/backups/*',
] as const;

/** There, and empty: programs want the file; systemd makes a machine-id of its own if it is empty. */
export const EMPTIED = ['/etc/machine-id', '/var/log/*'] as const;

const isLeftOut = matchesPath(LEFT_OUT);
const isEmptied = matchesPath(EMPTIED);

/** What becomes of a member of the built tree. @param path absolute, a binary string */
export function ruleOf(path: string): 'keep' | 'empty' | 'leave-out' {
  if (isLeftOut(path)) return 'leave-out';
  return isEmptied(path) ? 'empty' : 'keep';
}

/** Before Debian: no package has a file as old, so that nobody takes it for one. */
const GENERATED = Date.UTC(1990, 0, 1) / 1000;
/** Four years and a quarter. */
const GENERATED_SPAN = 2 ** 27;

/**
 * Gives times that are those of the build other ones, which follow from what is there: a file's from its content, so that
 * another content has another time; a directory's from what is in it.
 * @param startedS seconds since the epoch: no file that is of a package is as new
 */
export function normaliseTimes(node: TreeNode, startedS: number): void {
  let newest = GENERATED;
  for (const child of node.children?.values() ?? []) {
    normaliseTimes(child, startedS);
    newest = Math.max(newest, child.mtime);
  }
  if (node.children !== null) setTime(node, newest, 0);
  else if (node.mtime >= startedS) setTime(node, generatedTime(node), 0);
  else setTime(node, node.mtime, node.mtimeNs);
}

function generatedTime({ object, target }: TreeNode): number {
  const hash = createHash('sha256')
    .update(object || target)
    .digest();
  return GENERATED + (hash.readUInt32BE(0) % GENERATED_SPAN);
}

function setTime(node: TreeNode, seconds: number, ns: number): void {
  node.mtime = seconds;
  node.mtimeNs = ns;
  node.atime = seconds;
  node.atimeNs = ns;
  node.ctime = seconds;
  node.ctimeNs = ns;
}
