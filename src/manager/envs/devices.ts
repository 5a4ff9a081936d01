/** Finds devices of the machine that envs are given. */
import { type Stats, statSync } from 'node:fs';
import path from 'node:path';
import { type BlockDevice, deviceNumbers, disksOf, wholeDisk } from '../../base/block-devices.ts';
import { ByrefError } from '../../base/error.ts';
import type { Device, EnvSettings } from '../../codec/env-settings.ts';

/** A device, by its numbers, and what may be done with it. */
export interface DeviceRule {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** Of r and w. */
  readonly access: string;
}

/** Memory of the machine, and its ports: null(4), mem(4). */
const MEMORY: readonly string[] = ['1:1', '1:2', '1:4'];

/**
 * Finds the devices that are set for an env.
 * @throws ByrefError 'badInput' for a path that is no device, 'usage' for memory of the machine, and for a disk with its files or the store's
 */
export const devicesOf = (
  root: string,
  { devices, privileged }: Pick<EnvSettings, 'devices' | 'privileged'>,
): DeviceRule[] =>
  devices.map((device) => {
    const rule = ruleOf(device);
    if (!privileged && reachesMachine(root, rule)) {
      const message = `${device.path} would show an env the machine’s memory, or files of the machine`;
      throw new ByrefError('usage', message, 'Name another device, or say privileged=true.');
    }
    return rule;
  });

function ruleOf({ path: at, access }: Device): DeviceRule {
  const stat = statOf(at);
  const isBlock = stat?.isBlockDevice() === true;
  if (stat === null || !(isBlock || stat.isCharacterDevice())) {
    const message = stat === null ? `there is no ${at}` : `${at} is no device`;
    throw new ByrefError('badInput', message, 'Name a device of this machine: ls -l /dev.');
  }
  return { type: isBlock ? 'b' : 'c', ...deviceNumbers(stat.rdev), access };
}

function statOf(file: string): Stats | null {
  try {
    return statSync(file);
  } catch {
    return null;
  }
}

function reachesMachine(root: string, { type, major, minor }: DeviceRule): boolean {
  if (type === 'c') return MEMORY.includes(`${major}:${minor}`);
  const disks: BlockDevice[] = disksOf(['/', '/boot', root, path.join(root, 'envs')]);
  const disk = wholeDisk(`${major}:${minor}`);
  return disk !== null && disks.some(({ name }) => name === disk.name);
}
