/** Clears away what CRIU leaves when it fails or is killed: processes of its own, and mounts. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../../base/mount-flags.ts';
import { procNames, procText } from '../../../base/proc.ts';
import { native } from '../../../native/binding.ts';
import type { BundleDir } from '../runtime/bundle-dir.ts';
import { workOf } from './dump.ts';

const OCTAL = /\\([0-7]{3})/g;

/** Ends CRIU's processes of an env, and unmounts what they mounted: below its directory in the bundle, and beside the runtime's state. */
export function clearCriuLeft(bundle: BundleDir): void {
  const { directory, config } = workOf(bundle);
  if (!existsSync(directory)) return;
  const mark = `CRIU_CONFIG_FILE=${config}`;
  for (const pid of procNames('/proc').filter((name) => /^\d+$/.test(name)))
    if (procText(`/proc/${pid}/environ`).split('\0').includes(mark)) end(Number(pid));
  const root = path.join(bundle.runtimeState, bundle.name);
  const below = (at: string): boolean =>
    at.startsWith(`${directory}/`) || at.startsWith(`${root}/`);
  const places = procText('/proc/self/mountinfo')
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replace(OCTAL, (_, octal: string) => byte(octal)))
    .filter(below);
  for (const place of places.reverse()) native.umount(place, MNT_DETACH | UMOUNT_NOFOLLOW);
}

const byte = (octal: string): string => String.fromCharCode(Number.parseInt(octal, 8));

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended just now.
  }
}
