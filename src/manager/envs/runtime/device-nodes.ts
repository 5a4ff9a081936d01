/**
 * Makes nodes of the devices that an env is given. Those of the machine can't be bound: root of the env is nobody to them, and their
 * file system does not know id-mapped mounts.
 */
import { chownSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { MS_NOEXEC, MS_NOSUID } from '../../../base/mount-flags.ts';
import { failureOf, runProgram } from '../../../base/run-program.ts';
import type { Device } from '../../../codec/env-settings.ts';
import { native } from '../../../native/binding.ts';
import type { DeviceRule } from '../devices.ts';
import type { BundleDir } from './bundle-dir.ts';
import type { ShownPlace } from './oci-config.ts';

/** Root of the env lets its other users in, if they are to use them. */
const MODE = '0600';
const OUTPUT_MAX = 4096;

/**
 * Makes the nodes in a file system of their own, since where the bundle is none may work.
 * @param rules of `devices`, in the same order
 * @param owner the machine's id of the env's root
 * @throws ByrefError 'error'
 */
export async function makeDeviceNodes(
  bundle: BundleDir,
  devices: readonly Device[],
  rules: readonly DeviceRule[],
  owner: number,
): Promise<ShownPlace[]> {
  if (devices.length === 0) return [];
  const at = bundle.makePlace('disks', 'devices');
  const mounted = native.mount('tmpfs', at, 'tmpfs', MS_NOSUID | MS_NOEXEC, 'mode=711,size=64k');
  if (mounted < 0) throw failed(`errno ${-mounted}`);
  const places: ShownPlace[] = [];
  for (const [i, device] of devices.entries()) {
    const { type, major, minor } = rules[i]!;
    const place = path.join(at, String(i));
    const command = ['mknod', '-m', MODE, place, type, String(major), String(minor)];
    const options = { outputMax: OUTPUT_MAX, ofMore: 'end' } as const;
    const ended = await runProgram(command, options);
    if (ended.code !== 0) throw failed(failureOf(command, ended));
    chownSync(place, owner, owner);
    places.push({ place, path: device.path, readOnly: false, isDevice: true });
  }
  return places;
}

const failed = (why: string): ByrefError =>
  new ByrefError(
    'error',
    `a device can't be made for the env: ${why}`,
    'Take it out of its devices.',
  );
