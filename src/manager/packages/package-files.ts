/** The files of Debian packages in a tree: what dpkg's lists name, and what dpkg itself keeps of a package. */

import { STATUS_PATH } from '../merge/own-records.ts';
import { type PackageRecord, type Packages, packagesOf } from '../merge/packages.ts';
import type { EnvTree } from './env-tree.ts';

export const INFO_DIR = '/var/lib/dpkg/info';

/** The packages that a tree has; none if it has no status file, or one that is too large to be read. */
export const packagesIn = (tree: EnvTree): Packages => packagesOf(tree.content(STATUS_PATH));

/** Absolute paths, binary strings, of a package's files and directories; none if it is not there. */
export function filesOf(tree: EnvTree, record: PackageRecord | null | undefined): string[] {
  if (record === null || record === undefined) return [];
  const list = infoContent(tree, record, 'list') ?? '';
  return list.split('\n').filter((line) => line.startsWith('/') && line !== '/.');
}

/** Those that dpkg does not overwrite where an administrator changed them. */
export function conffilesOf(tree: EnvTree, record: PackageRecord): string[] {
  const list = infoContent(tree, record, 'conffiles') ?? '';
  return list.split('\n').filter((line) => line.startsWith('/'));
}

/** MD5 sums in hex by absolute path, as the package came with them. */
export function checksumsOf(tree: EnvTree, record: PackageRecord): Map<string, string> {
  const sums = new Map<string, string>();
  for (const line of (infoContent(tree, record, 'md5sums') ?? '').split('\n')) {
    const [, sum, path] = /^([0-9a-f]{32}) [ *](.*)$/.exec(line) ?? [];
    if (sum !== undefined && path !== undefined) sums.set(`/${path}`, sum);
  }
  return sums;
}

/** The path of dpkg's list of a package's files; null: there is none. */
export function listPathOf(tree: EnvTree, { name, architecture }: PackageRecord): string | null {
  const paths = [`${INFO_DIR}/${name}:${architecture}.list`, `${INFO_DIR}/${name}.list`];
  return paths.find((path) => (tree.find(path)?.record ?? null) !== null) ?? null;
}

function infoContent(tree: EnvTree, { name, architecture }: PackageRecord, what: string) {
  return (
    tree.content(`${INFO_DIR}/${name}:${architecture}.${what}`) ??
    tree.content(`${INFO_DIR}/${name}.${what}`)
  );
}

/** True if dpkg keeps something of this package under that name in its info directory: "NAME.list", "NAME:amd64.postinst". */
export function isInfoOf(name: string, file: string): boolean {
  if (!file.startsWith(name)) return false;
  return /^(?::[^.:]+)?\.[^.]+$/.test(file.slice(name.length));
}
