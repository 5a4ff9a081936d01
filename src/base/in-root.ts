/**
 * Reads and writes files below an env's root by the paths that programs in it use: a symlink to `/etc` leads to
 * the env's /etc. For the system outside, it would lead to the machine's.
 */
import {
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from './error.ts';
import { O_PATH } from './mode.ts';
import { rootOf, walkPath } from './path-walk.ts';
import { readWholeFd, type Whole } from './read-whole.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY, O_CREAT } = constants;
/** Only to go on from: the file system, which is a driver's, is not asked to open it. */
const DIRECTORY = O_PATH | O_DIRECTORY | O_NOFOLLOW;

/**
 * Runs `work` with a path to a directory that is held open: names can be appended to it.
 * @param dir absolute, below the root
 * @param make create directories that are missing
 * @throws ByrefError 'badInput' if something else than a directory is on the way
 */
function withDir<T>(root: string, dir: string, make: boolean, work: (at: string) => T): T {
  let fd = openSync(root, O_PATH | O_DIRECTORY);
  try {
    for (const name of withoutSymlinks(root, dir)) {
      const at = `/proc/self/fd/${fd}/${name}`;
      // A symlink that was put there meanwhile is refused.
      const next = opening(dir, () => openDir(at, make));
      closeSync(fd);
      fd = next;
    }
    return work(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

/**
 * Returns the names of the directories that a path leads to in the root. Those that do not exist are as in the
 * path; a symlink in a loop stays a name, which is refused when it is opened.
 */
function withoutSymlinks(root: string, dir: string): string[] {
  const { at, stoppedAt } = walkPath(rootOf(''), dir, {
    step(parent, name) {
      const here = `${parent}/${name}`;
      const target = targetOf(`${root}${here}`);
      return target === null ? { dir: here } : { target };
    },
  });
  const names = at.dir.split('/').slice(1);
  return stoppedAt === null ? names : [...names, stoppedAt];
}

/** Returns a symlink's target; null for anything else. */
function targetOf(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch {
    return null;
  }
}

function openDir(at: string, make: boolean): number {
  try {
    return openSync(at, DIRECTORY);
  } catch (error) {
    if (!make || !isCode(error, 'ENOENT')) throw error;
  }
  try {
    mkdirSync(at);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
  return openSync(at, DIRECTORY);
}

const isCode = (error: unknown, code: string): boolean =>
  (error as NodeJS.ErrnoException).code === code;

function opening<T>(file: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw error;
    const message = `${file}: a symlink or another thing is there, where a file of its own is expected`;
    throw new ByrefError('badInput', message, 'Put a regular file there, in directories.', {
      cause: error,
    });
  }
}

/**
 * Reads a file whole.
 * @param file absolute, below the root
 * @param max bytes
 * @returns undefined if it does not exist; else as readWhole
 * @throws ByrefError 'badInput' if it is a symlink
 */
export function readInRoot(root: string, file: string, max: number): Whole | undefined {
  try {
    return withDir(root, path.dirname(file), false, (dir) => {
      const at = `${dir}/${path.basename(file)}`;
      const fd = opening(file, () => openSync(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
      try {
        return readWholeFd(fd, max);
      } finally {
        closeSync(fd);
      }
    });
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * Writes a file; an existing one keeps its attributes.
 * @param content a binary string
 * @throws as readInRoot
 */
export function writeInRoot(root: string, file: string, content: string, mode = 0o644): void {
  withDir(root, path.dirname(file), true, (dir) => {
    const flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
    const fd = opening(file, () => openSync(`${dir}/${path.basename(file)}`, flags, mode));
    try {
      ftruncateSync(fd);
      writeFileSync(fd, content, 'latin1');
    } finally {
      closeSync(fd);
    }
  });
}

/**
 * Removes a name, if it exists, and has `make` create something at the path that it is given.
 * @throws as readInRoot
 */
export function replaceInRoot(
  root: string,
  file: string,
  make: (at: string) => void = () => undefined,
): void {
  withDir(root, path.dirname(file), true, (dir) => {
    const at = `${dir}/${path.basename(file)}`;
    remove(at);
    make(at);
  });
}

/** As rmSync() with `force`, which looks twice before it does what mostly is one call. */
function remove(at: string): void {
  try {
    unlinkSync(at);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) rmSync(at, { force: true });
  }
}
