/**
 * Limits of input and output, on cgroup v1 (blkio) and v2 (io). The runtime sets them at the start; what changes while an env runs
 * is set here, since runc's `update` takes none of it.
 *
 * They count for what programs of the env have a disk do: reads (the driver's passthrough is done by who reads), direct writes, and
 * synchronous ones. What is left in the page cache is written by the kernel: cgroup v2 knows for whom, cgroup v1 does not.
 * fsync(2) of a file of the env's root is done by the driver, so it is not held; in a volume it is.
 */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BlockDevice, disksOf, schedulerOf } from '../../../base/block-devices.ts';
import { ByrefError } from '../../../base/error.ts';
import { procText } from '../../../base/proc.ts';
import type { EnvLimits, IoRate } from '../../../codec/env-settings.ts';
import { isUnified } from './cgroups.ts';
import type { OciBlockIo, OciThrottle } from './oci-spec.ts';

const MOUNTED = '/sys/fs/cgroup';
/** The weight of an env for which none is set: the kernel's default. */
const WEIGHT = 100;

/** Returns the disks that hold an env's files. @param root of the store */
export const disksOfEnvs = (root: string): BlockDevice[] =>
  disksOf([path.join(root, 'objects'), path.join(root, 'envs')]);

/** Returns what the runtime is told of limits of input and output; null if there are none. */
export function blockIoOf(
  { ioRead, ioWrite }: EnvLimits,
  disks: readonly BlockDevice[],
): OciBlockIo | null {
  const each = (rate: number | null | undefined): readonly OciThrottle[] =>
    rate === null || rate === undefined
      ? []
      : disks.map(({ major, minor }) => ({ major, minor, rate }));
  const lists = {
    throttleReadBpsDevice: each(ioRead?.bytes),
    throttleReadIOPSDevice: each(ioRead?.iops),
    throttleWriteBpsDevice: each(ioWrite?.bytes),
    throttleWriteIOPSDevice: each(ioWrite?.iops),
  };
  const given = Object.entries(lists).filter(([, list]) => list.length > 0);
  return given.length === 0 ? null : Object.fromEntries(given);
}

/** A file of a group, and what is to be written to it. */
export interface GroupWrite {
  readonly file: string;
  readonly text: string;
}

/**
 * Returns what has to be written when limits of a running env change.
 * @param unified true for cgroup v2
 */
export function ioWrites(
  group: string,
  before: EnvLimits,
  after: EnvLimits,
  disks: readonly BlockDevice[],
  unified: boolean,
): GroupWrite[] {
  const rates = [before.ioRead, before.ioWrite, after.ioRead, after.ioWrite];
  if (rates.every((rate) => rate === null)) return [];
  return disks.flatMap(({ major, minor }) => {
    const disk = `${major}:${minor}`;
    return unified
      ? [{ file: path.join(MOUNTED, group, 'io.max'), text: `${disk} ${maxText(after)}` }]
      : throttles(after).map(([name, rate]) => ({
          file: path.join(MOUNTED, 'blkio', group, `blkio.throttle.${name}_device`),
          text: `${disk} ${rate ?? 0}`,
        }));
  });
}

/** cgroup v1: 0 takes a limit back. */
const throttles = ({ ioRead, ioWrite }: EnvLimits): [name: string, rate: number | null][] => [
  ['read_bps', ioRead?.bytes ?? null],
  ['read_iops', ioRead?.iops ?? null],
  ['write_bps', ioWrite?.bytes ?? null],
  ['write_iops', ioWrite?.iops ?? null],
];

function maxText({ ioRead, ioWrite }: EnvLimits): string {
  const of = (rate: IoRate | null, field: keyof IoRate): string => String(rate?.[field] ?? 'max');
  return [
    `rbps=${of(ioRead, 'bytes')}`,
    `wbps=${of(ioWrite, 'bytes')}`,
    `riops=${of(ioRead, 'iops')}`,
    `wiops=${of(ioWrite, 'iops')}`,
  ].join(' ');
}

/** Sets what has changed for a running env. @throws ByrefError 'unsupported' if the kernel refuses a limit */
export function changeIo(root: string, group: string, before: EnvLimits, after: EnvLimits): void {
  try {
    for (const { file, text } of ioWrites(group, before, after, disksOfEnvs(root), isUnified()))
      writeFileSync(file, text);
    if (before.ioWeight !== after.ioWeight) setWeight(group, after.ioWeight);
  } catch (cause) {
    const message = `the kernel refuses a limit of input and output: ${String(cause)}`;
    const hint = 'It is kept, and tried again when the env is started.';
    throw new ByrefError('unsupported', message, hint, { cause });
  }
}

/** Sets the weight of a running env, where the kernel has weights. */
export function setWeight(group: string, weight: number | null): void {
  const hierarchy = isUnified() ? MOUNTED : path.join(MOUNTED, 'blkio');
  for (const name of ['io.weight', 'io.bfq.weight', 'blkio.weight', 'blkio.bfq.weight']) {
    const file = path.join(hierarchy, group, name);
    if (existsSync(file)) writeFileSync(file, String(weight ?? WEIGHT));
  }
}

/** Returns sentences about limits among those that this machine does not enforce, or not for all. */
export function ioNotes(
  { ioRead, ioWrite, ioWeight }: EnvLimits,
  disks: readonly BlockDevice[],
): string[] {
  const notes: string[] = [];
  if (disks.length === 0 && (ioRead ?? ioWrite ?? ioWeight) !== null)
    notes.push('limits.io: the root is on no disk of this machine, so nothing enforces them');
  else if (ioWrite !== null && !isUnified())
    notes.push(
      'limits.io.write: with cgroup v1 it holds direct and synchronous writes; what is left in the page cache is written later, as fast as the disk can',
    );
  const [first] = disks;
  if (ioWeight !== null && first !== undefined && !disks.some(weighs))
    notes.push(
      `limits.io.weight: it counts once the disk’s scheduler is bfq (echo bfq >/sys/block/${first.name}/queue/scheduler)`,
    );
  return notes;
}

/** True if something shares out a disk by weight: BFQ, or the kernel's cost model of cgroup v2. */
const weighs = (disk: BlockDevice): boolean =>
  schedulerOf(disk) === 'bfq' || (isUnified() && /enable=1/.test(costModel(disk)));

const costModel = ({ major, minor }: BlockDevice): string =>
  procText(path.join(MOUNTED, 'io.cost.qos'))
    .split('\n')
    .find((line) => line.startsWith(`${major}:${minor} `)) ?? '';
