/** Finds the disks that files are on. */
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { procText } from './proc.ts';

/** A block device, by its numbers. */
export interface BlockDevice {
  readonly major: number;
  readonly minor: number;
  /** As in /sys/block: "vda", "dm-0". */
  readonly name: string;
}

const SYS = '/sys/dev/block';

/**
 * Returns the disks that files are on, each once: of a partition the whole disk, since limits of input and output count
 * there. A file system without one disk of its own (tmpfs, NFS, ZFS) has none.
 */
export function disksOf(files: readonly string[]): BlockDevice[] {
  const found = files.filter(existsSync).flatMap((file) => wholeDisk(deviceOf(file)) ?? []);
  return [...new Map(found.map((each) => [each.name, each])).values()];
}

/** Returns the number of the device that a file is on, as MAJOR:MINOR. */
function deviceOf(file: string): string {
  const { major, minor } = deviceNumbers(statSync(file).dev);
  // Btrfs has a device number of its own for each subvolume; the table of mounts names the disk.
  return major === 0 ? (sourceOf(`${major}:${minor}`) ?? '') : `${major}:${minor}`;
}

/** Splits a device number, as makedev(3) makes it. */
export const deviceNumbers = (device: number): { major: number; minor: number } => ({
  major: Number((BigInt(device) >> 8n) & 0xfffn),
  minor: Number((BigInt(device) & 0xffn) | ((BigInt(device) >> 12n) & 0xfff00n)),
});

function sourceOf(device: string): string | null {
  const line = procText('/proc/self/mountinfo')
    .split('\n')
    .find((each) => each.split(' ')[2] === device);
  const source = / - \S+ (\/dev\/\S+)/.exec(line ?? '')?.[1];
  if (source === undefined || !existsSync(source)) return null;
  const { major, minor } = deviceNumbers(statSync(source).rdev);
  return `${major}:${minor}`;
}

/** Returns the disk that a device is, or is a partition of; null if there is none. @param device MAJOR:MINOR */
export function wholeDisk(device: string): BlockDevice | null {
  const at = path.join(SYS, device);
  if (device === '' || !existsSync(at)) return null;
  const directory = path.resolve(SYS, readlinkSync(at));
  const whole = existsSync(path.join(directory, 'partition')) ? path.dirname(directory) : directory;
  const [major = 0, minor = 0] = readFileSync(path.join(whole, 'dev'), 'utf8')
    .split(':')
    .map(Number);
  return { major, minor, name: path.basename(whole) };
}

/** Returns the scheduler of a disk: "bfq", "mq-deadline", "none"; '' if it has none. */
export const schedulerOf = ({ name }: BlockDevice): string =>
  /\[(.+)\]/.exec(procText(`/sys/block/${name}/queue/scheduler`))?.[1] ?? '';
