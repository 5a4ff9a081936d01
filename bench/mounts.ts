import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { run } from './process.ts';

const FUSECTL = '/sys/fs/fuse/connections';

interface Mount {
  readonly device: string;
  readonly path: string;
  readonly type: string;
}

/** The mount table of this process, paths unescaped, in mount order. Touches no mount. */
function mounts(): Mount[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  return lines.map((line) => {
    const fields = line.split(' ');
    const path = (fields[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return { device: fields[2] ?? '', path, type: fields[fields.indexOf('-') + 1] ?? '' };
  });
}

export const isMounted = (path: string): boolean => mounts().some((mount) => mount.path === path);

/** Type of the file system that holds `path`, which must be absolute and without symlinks. */
export function fileSystemType(path: string): string {
  const holders = mounts().filter(
    (mount) => path === mount.path || path.startsWith(mount.path === '/' ? '/' : `${mount.path}/`),
  );
  return holders.sort((a, b) => a.path.length - b.path.length).at(-1)?.type ?? 'unknown';
}

/** Ends a FUSE connection whose server hangs: all that waits on it fails with ECONNABORTED. */
async function abortFuse(mount: Mount): Promise<void> {
  if (!mount.type.startsWith('fuse')) return;
  if (!isMounted(FUSECTL)) await run('mount', ['-t', 'fusectl', 'none', FUSECTL]);
  const abort = `${FUSECTL}/${mount.device.split(':')[1]}/abort`;
  if (existsSync(abort)) writeFileSync(abort, '1');
}

/** Aborts every FUSE mount at or below `dir`. */
export async function abortBelow(dir: string): Promise<void> {
  for (const mount of mounts()) {
    if (mount.path === dir || mount.path.startsWith(`${dir}/`)) await abortFuse(mount);
  }
}

/** Unmounts `path`; if that fails, aborts and detaches it. No error if nothing is mounted there. */
export async function unmount(path: string): Promise<void> {
  const mount = mounts().find((each) => each.path === path);
  if (!mount) return;
  try {
    await run('umount', [path], { limitMs: 30_000 });
  } catch {
    if (!isMounted(path)) return;
    await abortFuse(mount);
    await run('umount', ['-l', path], { limitMs: 30_000 });
  }
}

/** Unmounts all that is mounted below `dir`, the latest first. */
export async function unmountBelow(dir: string): Promise<void> {
  const below = mounts().filter((mount) => mount.path.startsWith(`${dir}/`));
  for (const mount of below.reverse()) await unmount(mount.path);
}
