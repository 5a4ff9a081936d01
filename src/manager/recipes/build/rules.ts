/**
 * Rules for what a built tree contains but a template does not: things that belong to one machine, or to the
 * moment of the build. With these rules the same packages give the same version. docs/reference/building.md
 * describes them for users.
 */
import { createHash } from 'node:crypto';
import { matchesPath } from '../../../base/path-patterns.ts';
import type { TreeNode } from '../../templates/tree.ts';

/** Paths that are left out. A pattern includes what is below it; `DIR/*` leaves the directory itself in. */
export const LEFT_OUT = [
  // Mounted when an env starts.
  '/proc/*',
  '/run/*',
  '/sys/*',
  '/tmp/*',
  '/var/tmp/*',
  // These belong to one machine: every env must have its own.
  '/etc/hostname',
  '/etc/resolv.conf',
  '/etc/ssh/ssh_host_*',
  '/var/lib/dbus/machine-id',
  '/var/lib/systemd/credential.secret',
  '/var/lib/systemd/random-seed',
  // Generated again when needed.
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
  // The same again, but with the build's dates in them.
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

/** Files that stay, but empty: programs expect them; systemd replaces an empty machine-id. */
export const EMPTIED = ['/etc/machine-id', '/var/log/*'] as const;

const isLeftOut = matchesPath(LEFT_OUT);
const isEmptied = matchesPath(EMPTIED);

/** Returns what to do with a member of the built tree. @param path absolute, a binary string */
export function ruleOf(path: string): 'keep' | 'empty' | 'leave-out' {
  if (isLeftOut(path)) return 'leave-out';
  return isEmptied(path) ? 'empty' : 'keep';
}

/** The earliest time for generated files: before Debian existed, so that it is not mistaken for a package's file. */
const GENERATED = Date.UTC(1990, 0, 1) / 1000;
/** The span of times for generated files: four years and a quarter, in seconds. */
const GENERATED_SPAN = 2 ** 27;

/**
 * Replaces times that stem from the build by times that follow from the content: for a file from its bytes, so
 * that other content gets another time; for a directory from what is in it.
 * @param startedS seconds since the epoch when the build started: files from packages are all older
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
