import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { disksOf, schedulerOf } from '../../../base/block-devices.ts';
import { procNames } from '../../../base/proc.ts';
import { type Check, check } from './check.ts';

const INOTIFY = '/proc/sys/fs/inotify/max_user_instances';
/** What an env with systemd and some services takes of them. Those of all envs count as root's, too. */
const INOTIFY_PER_ENV = 5;
/** For a hundred envs and more. */
const INOTIFY_WANTED = 1024;

/** How many hardware addresses the kernel knows at once, for all network namespaces together. */
const NEIGHBOURS = '/proc/sys/net/ipv4/neigh/default/gc_thresh3';
/** The env knows its gateway's, and the gateway the env's. */
const NEIGHBOURS_PER_ENV = 2;
/** What it is raised to at least: enough for four thousand. */
const RAISED = 8192;

/** Checks what bounds envs that run: their number, and what holds them to their limits. @param root exists */
export function runningChecks(root: string): Check[] {
  return [...inotifyChecks(), ...neighbourChecks(root), ...ioChecks(root)];
}

/** Checks that all envs of a root can use the network at once. */
function neighbourChecks(root: string): Check[] {
  const most = Number(textOf(NEIGHBOURS));
  // The limit is the whole machine's, and is not shown in other network namespaces.
  if (most === 0) return [];
  const envs = procNames(path.join(root, 'envs')).length;
  const wanted = envs * NEIGHBOURS_PER_ENV;
  const cost =
    `about ${Math.floor(most / NEIGHBOURS_PER_ENV)} envs can use the network at once, and there are ${envs}; ` +
    `with more, packets are lost (sysctl -w net.ipv4.neigh.default.gc_thresh3=${Math.max(RAISED, 2 * wanted)})`;
  return [check('run.neighbours', most >= wanted, `${most} addresses`, cost, 'reduced')];
}

function inotifyChecks(): Check[] {
  const instances = Number(textOf(INOTIFY));
  const cost =
    `about ${Math.floor(instances / INOTIFY_PER_ENV)} envs with systemd can run at once; ` +
    'in more of them services fail (sysctl -w fs.inotify.max_user_instances=8192)';
  return [
    check('run.inotify', instances >= INOTIFY_WANTED, `${instances} instances`, cost, 'reduced'),
  ];
}

const BUFFERED =
  'limits.io.write holds direct and synchronous writes only; what is left in the page cache is written as fast as the disk can ' +
  '(cgroup v2: systemd.unified_cgroup_hierarchy=1 for the kernel)';

/** Checks which limits of input and output the kernel enforces. */
function ioChecks(root: string): Check[] {
  const disks = disksOf([root]);
  if (disks.length === 0)
    return [
      check(
        'run.io',
        false,
        'no disk',
        'no limits.io: the root is on no disk of its own',
        'reduced',
      ),
    ];
  const isUnified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const names = disks.map((disk) => `${disk.name}: ${schedulerOf(disk) || 'no scheduler'}`);
  const byWeight = disks.every((disk) => schedulerOf(disk) === 'bfq') || isUnified;
  return [
    check('run.io.write', isUnified, `cgroup v${isUnified ? 2 : 1}`, BUFFERED, 'reduced'),
    check(
      'run.io.weight',
      byWeight,
      names.join(', '),
      'no limits.io.weight: the disk’s scheduler is not bfq (echo bfq >/sys/block/DISK/queue/scheduler)',
      'reduced',
    ),
  ];
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '0';
  }
}
