import { readFileSync } from 'node:fs';
import path from 'node:path';

/** One mount of an env, from /proc/self/mountinfo. */
export interface EnvMount {
  readonly env: number;
  readonly mountpoint: string;
  /** Its options, as mount(8) shows them: "rw,relatime". */
  readonly options: string;
  /** The name of its directory in /sys/fs/fuse/connections. */
  readonly connection: number;
}

/** What an env's mount shows as its file system's type. */
const MOUNT_TYPE = 'fuse.byref';

const SOURCE_PREFIX = 'byref:';

/** An env's part of its mount's device name: unique on a machine. */
export const mountLabel = (root: string, env: number): string =>
  path.join(root, 'envs', String(env));

/** A mount's device, as df(1) and mount(8) show it. */
export const mountSource = (root: string, env: number): string =>
  SOURCE_PREFIX + mountLabel(root, env);

/**
 * The mounts of this root's envs that this process's mount namespace shows, by env. Reads only the
 * kernel's table: a mount whose driver hangs makes no difference.
 */
export function envMounts(root: string): Map<number, EnvMount> {
  const prefix = SOURCE_PREFIX + path.join(root, 'envs') + path.sep;
  const mounts = new Map<number, EnvMount>();
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    if (!line.includes(` ${MOUNT_TYPE} `)) continue;
    const mount = parse(line, prefix);
    // An env's own root may be bind-mounted elsewhere: the first one is the mount itself.
    if (mount && !mounts.has(mount.env)) mounts.set(mount.env, mount);
  }
  return mounts;
}

/** The env of this root whose mount, or a bind mount of a part of it, `place` is in; null if it is in none. By path only. */
export function envAt(root: string, place: string): number | null {
  const prefix = SOURCE_PREFIX + path.join(root, 'envs') + path.sep;
  let innermost = { mountpoint: '', source: '' };
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const mountpoint = unescapeOctal(before.split(' ')[4] ?? '');
    const isAbove = place === mountpoint || place.startsWith(mountpoint.replace(/[/]*$/, '/'));
    // Of several on one place the last one is on top.
    if (!isAbove || mountpoint.length < innermost.mountpoint.length) continue;
    innermost = { mountpoint, source: unescapeOctal(after.split(' ')[1] ?? '') };
  }
  return innermost.source.startsWith(prefix) ? Number(innermost.source.slice(prefix.length)) : null;
}

/** Mount points below `mountpoint`, of any type: they keep it busy. */
export function mountsBelow(mountpoint: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((path) => path.startsWith(`${mountpoint}/`));
}

/** `36 35 0:45 / /mnt rw,noatime shared:1 - fuse.byref byref:/root/envs/7 rw,...` */
function parse(line: string, prefix: string): EnvMount | null {
  const [before = '', after = ''] = line.split(' - ');
  const fields = before.split(' ');
  const source = unescapeOctal(after.split(' ')[1] ?? '');
  if (fields[3] !== '/' || !source.startsWith(prefix)) return null;
  return {
    env: Number(source.slice(prefix.length)),
    mountpoint: unescapeOctal(fields[4] ?? ''),
    options: optionsOf(fields[5] ?? '', after.split(' ')[2] ?? ''),
    connection: Number((fields[2] ?? '').split(':')[1]),
  };
}

/** The mount's own; one on a read-only file system is read-only, whatever it says itself. */
const optionsOf = (own: string, superBlock: string): string =>
  superBlock.startsWith('ro') ? own.replace(/^rw/, 'ro') : own;

/** The kernel writes blanks and backslashes as octal, and names as bytes. */
function unescapeOctal(text: string): string {
  const bytes = text.replaceAll(/\\(\d{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
