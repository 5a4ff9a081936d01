import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENODEV } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { MNT_DETACH, mountWords } from '../../base/mount-flags.ts';
import { native } from '../../native/binding.ts';
import type { FileSystem } from '../core/api.ts';
import { Operations } from './operations.ts';
import { type FuseMount, loadFuseNative } from './package.ts';
import { IMPLEMENTED, requests } from './requests.ts';

/** How often to check whether the mount is still there, in ms: the add-on doesn't say when it ends. */
const WATCH_MS = 250;
/** Words of mount flags that libfuse 2 passes on; it refuses others. */
const KNOWN_WORDS: ReadonlySet<string> = new Set(['ro', 'nosuid', 'nodev', 'noexec', 'noatime']);

/** Options of mountFuseNative(). */
export interface FuseNativeOptions {
  /** The mount's device, as df(1) shows it; its type is fuse.byref. */
  readonly source: string;
  /** MS_* flags of mount(2). libfuse 2 has no words for some about access times, so those are left out. */
  readonly mountFlags: number;
  /** Called with what an operation threw; the operation ends with EIO. */
  readonly onFault: (error: unknown) => void;
}

/** A mount over libfuse 2. */
export interface FuseNativeMount {
  /** Returns the number of open files. */
  readonly openFiles: () => number;
  /** Resolves to an errno when the mount is gone and nothing in it is open. */
  readonly ended: Promise<number>;
  /** Takes the mount out of the tree; it ends when nothing in it is open. */
  unmount(): number;
}

/**
 * Mounts a filesystem over libfuse 2. Resolves when the kernel may use it. Must run on the main thread, whose
 * event loop answers. The add-on keeps that loop alive for good, so the process must exit explicitly.
 * @throws ByrefError 'unsupported' if the package or libfuse is missing, or mounting is refused
 */
export async function mountFuseNative(
  fs: FileSystem,
  mountpoint: string,
  options: FuseNativeOptions,
): Promise<FuseNativeMount> {
  const Fuse = loadFuseNative();
  const operations = new Operations(fs);
  const implemented = Object.fromEntries(IMPLEMENTED.map((name) => [name, true] as const));
  const fuse = new Fuse(mountpoint, implemented, { timeout: false });
  let current: Buffer | null = null;
  const context = { fs, operations, current: () => current, fault: options.onFault };
  Object.assign(fuse, requests(context));
  fuse._handlers = fuse._handlers.map((handler) => (request, ...rest) => {
    current = request;
    return handler(request, ...rest);
  });
  fuse._fuseOptions = () => mountOptions(options);
  await start(fuse, mountpoint);
  return {
    openFiles: () => operations.files.size,
    ended: watch(mountpoint, operations).then(() => {
      fs.destroy();
      return ENODEV;
    }),
    unmount: () => native.umount(mountpoint, MNT_DETACH),
  };
}

/**
 * Returns the mount options, without any timeout: hard links have a kernel inode per path here, so what is cached
 * for one name is wrong after a change through another.
 */
function mountOptions({ source, mountFlags }: FuseNativeOptions): string {
  const escaped = source.replaceAll(/[\\,]/g, '\\$&');
  const options = ['allow_other', 'default_permissions', 'suid', 'dev', 'use_ino', 'big_writes'];
  const flags = mountWords(mountFlags).filter((word) => KNOWN_WORDS.has(word));
  const timeouts = ['entry_timeout=0', 'negative_timeout=0', 'attr_timeout=0'];
  return `-o${[...options, ...flags, ...timeouts, `fsname=${escaped}`, 'subtype=byref'].join(',')}`;
}

function start(fuse: FuseMount, mountpoint: string): Promise<void> {
  return new Promise((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null) resolve();
      else reject(mountError(mountpoint, error));
    });
  });
}

const mountError = (mountpoint: string, cause: Error): ByrefError =>
  new ByrefError(
    'unsupported',
    `libfuse did not mount on ${mountpoint}: ${cause.message}`,
    'See what byref doctor says of privileges and fuse.',
    { cause },
  );

/** Resolves when the mount point is in no mount of this namespace, and no file of it is open. */
async function watch(mountpoint: string, operations: Operations): Promise<void> {
  do await sleep(WATCH_MS);
  while (operations.files.size > 0 || (await isMounted(mountpoint)));
}

/** Looks only into the kernel's table: a process must not touch a mount that it serves. */
async function isMounted(mountpoint: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'latin1');
  const escaped = Buffer.from(mountpoint, 'utf8')
    .toString('latin1')
    .replaceAll(/[\\ \t\n]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
  return table.split('\n').some((line) => line.split(' ')[4] === escaped && isOurs(line));
}

const isOurs = (line: string): boolean => line.includes(' - fuse.byref ');
