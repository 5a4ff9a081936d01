/** Finds mounts of envs in the kernel's table of mounts. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** One mount of an env, from /proc/self/mountinfo. */
export interface EnvMount {
  readonly env: number;
  readonly mountpoint: string;
  /** The mount's options as mount(8) shows them: "rw,relatime". */
  readonly options: string;
  /** The name of its directory in /sys/fs/fuse/connections. */
  readonly connection: number;
  /** The id of the mount itself. */
  readonly id: number;
}

/** A mount that hides another one. */
export interface Cover {
  readonly mountpoint: string;
  /** As df(1) shows it: "tmpfs". */
  readonly source: string;
  /** The env of the given root that it is of; null if it is something else. */
  readonly env: number | null;
}

/** The type of file system that an env's mount shows. */
const MOUNT_TYPE = 'fuse.byref';

const SOURCE_PREFIX = 'byref:';

/** Returns the part of a mount's device name that names the env: unique on a machine. */
export const mountLabel = (root: string, env: number): string =>
  path.join(root, 'envs', String(env));

/** Returns a mount's device name, as df(1) and mount(8) show it. */
export const mountSource = (root: string, env: number): string =>
  SOURCE_PREFIX + mountLabel(root, env);

/**
 * Returns the mounts of this root's envs in this process's mount namespace, by env. Reads only the kernel's
 * table, so a mount whose driver hangs makes no difference.
 */
export function envMounts(root: string): Map<number, EnvMount> {
  const prefix = SOURCE_PREFIX + path.join(root, 'envs') + path.sep;
  const mounts = new Map<number, EnvMount>();
  const table = readFileSync('/proc/self/mountinfo', 'latin1');
  for (const line of linesWith(table, ` - ${MOUNT_TYPE} ${asWritten(prefix)}`)) {
    const mount = parse(line, prefix);
    // An env's own root may be bind-mounted elsewhere: the first one is the mount itself.
    if (mount && !mounts.has(mount.env)) mounts.set(mount.env, mount);
  }
  return mounts;
}

/**
 * Returns the env of this root in whose mount, or a bind mount of a part of it, `place` lies; null if in none.
 * Looks at the path only.
 */
export function envAt(root: string, place: string): number | null {
  const prefix = SOURCE_PREFIX + path.join(root, 'envs') + path.sep;
  let innermost = { mountpoint: '', source: '' };
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const mountpoint = unescapeOctal(before.split(' ')[4] ?? '');
    const isAbove = place === mountpoint || place.startsWith(mountpoint.replace(/[/]*$/, '/'));
    // Of several mounts on one place the last one is on top.
    if (!isAbove || mountpoint.length < innermost.mountpoint.length) continue;
    innermost = { mountpoint, source: unescapeOctal(after.split(' ')[1] ?? '') };
  }
  return innermost.source.startsWith(prefix) ? Number(innermost.source.slice(prefix.length)) : null;
}

/**
 * Returns the mount that is found where this one should be, as it lies over it or over a directory above it; null if there is
 * none. A call by the mount's path would reach that one.
 */
export function coverOf(root: string, { id, mountpoint }: EnvMount): Cover | null {
  const table = readFileSync('/proc/self/mountinfo', 'latin1').split('\n').map(parsePlace);
  const byId = new Map(table.map((mount) => [mount.id, mount]));
  const above = (directory: string, of: string): boolean =>
    directory === of || of.startsWith(directory.replace(/[/]*$/, '/'));
  let found: MountPlace | undefined = table.find(
    (each) => each.parent === id && each.mountpoint === mountpoint,
  );
  // What lies in the same mount, at or above the place of the next one on the way, is met first. The outermost counts.
  for (let at = byId.get(id); at !== undefined && at.parent !== at.id; ) {
    const { id: next, parent, mountpoint: place } = at;
    const isMet = (each: MountPlace): boolean =>
      each.parent === parent && each.id !== next && above(each.mountpoint, place);
    found = table.find((each) => each.id !== parent && isMet(each)) ?? found;
    at = byId.get(parent);
  }
  if (found === undefined) return null;
  const prefix = SOURCE_PREFIX + path.join(root, 'envs') + path.sep;
  const { source } = found;
  const env = source.startsWith(prefix) ? Number(source.slice(prefix.length)) : null;
  return { mountpoint: found.mountpoint, source, env };
}

/** Where a mount is. */
interface MountPlace {
  readonly id: number;
  readonly parent: number;
  readonly mountpoint: string;
  readonly source: string;
}

function parsePlace(line: string): MountPlace {
  const [before = '', after = ''] = line.split(' - ');
  const [id, parent, , , mountpoint = ''] = before.split(' ');
  const source = unescapeOctal(after.split(' ')[1] ?? '');
  return { id: Number(id), parent: Number(parent), mountpoint: unescapeOctal(mountpoint), source };
}

/** Returns the mount points below `mountpoint`, of any type: they keep it busy. */
export function mountsBelow(mountpoint: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((path) => path.startsWith(`${mountpoint}/`));
}

/** Parses a line such as `36 35 0:45 / /mnt rw,noatime shared:1 - fuse.byref byref:/root/envs/7 rw,...` */
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
    id: Number(fields[0]),
  };
}

/** Returns the mount's own options; on a read-only file system it is read-only, whatever its own options say. */
const optionsOf = (own: string, superBlock: string): string =>
  superBlock.startsWith('ro') ? own.replace(/^rw/, 'ro') : own;

/** Yields the lines that have a text. A machine may have thousands of mounts, which are not all looked at one by one. */
function* linesWith(table: string, text: string): Generator<string> {
  for (let at = table.indexOf(text); at >= 0; ) {
    const end = table.indexOf('\n', at);
    yield table.slice(table.lastIndexOf('\n', at) + 1, end);
    at = table.indexOf(text, end);
  }
}

/** Returns as much of a field's beginning as is written as it is. */
const asWritten = (field: string): string => /^[\w/.:@+,=~-]*/.exec(field)?.[0] ?? '';

/** Decodes a field: the kernel writes blanks and backslashes in octal, and names as bytes. */
function unescapeOctal(text: string): string {
  const bytes = text.replaceAll(/\\(\d{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
