/** The machine's control groups, as far as the runtime leaves anything to do: v1, hybrid, and v2. */
import { chownSync, existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { RunDir } from '../../../ipc/run-dir.ts';
import type { IdRange } from './id-ranges.ts';

const MOUNTED = '/sys/fs/cgroup';
/** The group of all envs of all roots. */
const TOP = 'byref';
/** systemd's own hierarchy on v1: without controllers. */
const NAMED = path.join(MOUNTED, 'systemd');
/** The files of a group that its owner writes to. */
const OWNED = ['cgroup.procs', 'tasks', 'notify_on_release', 'cgroup.clone_children'];

/** Returns the path of an env's group in each hierarchy. Roots are told apart as their run directories are. */
export const groupOf = (root: string, env: number): string =>
  `/${TOP}/${path.basename(new RunDir(root).path)}/env-${env}`;

/**
 * Returns the file of a group to which processes are written. @param controllers as in /proc/PID/cgroup: '' for v2, which is not
 * there beside v1 on all machines
 */
export const processesFile = (controllers: string, group: string): string =>
  path.join(MOUNTED, controllers, group, 'cgroup.procs');

/** True if the machine has nothing but cgroup v2. */
export const isUnified = (): boolean => existsSync(path.join(MOUNTED, 'cgroup.controllers'));

/**
 * Makes the group in which systemd, as the first process of an env, makes its own groups, and gives it to the env's root. On
 * v2 the runtime does so.
 */
export function makeNamedGroup(cgroup: string, ids: IdRange | null): void {
  if (isUnified() || !existsSync(NAMED)) return;
  const group = NAMED + cgroup;
  mkdirSync(group, { recursive: true });
  if (ids === null) return;
  for (const file of [group, ...OWNED.map((name) => path.join(group, name))])
    if (existsSync(file)) chownSync(file, ids.first, ids.first);
}

/** Removes what is left of an env's groups: those that it made in its own, and those above that are empty now. */
export function removeGroups(cgroup: string): void {
  const hierarchies = isUnified()
    ? [MOUNTED]
    : readdirSync(MOUNTED).map((name) => path.join(MOUNTED, name));
  for (const hierarchy of hierarchies) {
    removeTree(hierarchy + cgroup);
    for (let at = path.dirname(cgroup); at !== '/'; at = path.dirname(at))
      removeGroup(hierarchy + at);
  }
}

function removeTree(group: string): void {
  if (!existsSync(group)) return;
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(path.join(group, entry.name));
  removeGroup(group);
}

function removeGroup(group: string): void {
  try {
    rmdirSync(group);
  } catch {
    // It is not there, or others are in it.
  }
}
