/** Makes places in a root where files and directories of the machine are to be seen while something runs in it. */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import type { ReadOnlyBind } from '../confinement/inside.ts';

/** Directories that get a mount of their own inside (see confinement/inside.ts): places below them are made there. */
const ELSEWHERE = /^\/(?:dev|proc|run|sys|tmp)(?:\/|$)/;

/**
 * Parses "DIR" or "DIR:DIR" of a command line.
 * @throws ByrefError 'badInput' for a source that does not exist, 'usage' for a bad place
 */
export function parseBind(text: string): ReadOnlyBind {
  const [given = '', place] = text.split(':', 2);
  const source = path.resolve(given);
  const target = place ?? source;
  if (given === '' || !path.isAbsolute(target) || path.normalize(target) === '/') {
    const hint = 'Write DIR, or DIR:PLACE with an absolute path of where it is to be seen.';
    throw new ByrefError('usage', `"${text}" does not say what is to be seen where`, hint);
  }
  if (statOf(source, true) === undefined) {
    throw new ByrefError('badInput', `there is no ${source}`, 'Name a file or directory.');
  }
  return { source, target: path.normalize(target).replace(/\/$/, '') };
}

/** Makes the places to mount on, does the work, and removes them, except for those into which something was put meanwhile. */
export async function withMountpoints<T>(
  root: string,
  binds: readonly ReadOnlyBind[],
  work: () => Promise<T>,
): Promise<T> {
  const made: string[] = [];
  try {
    for (const bind of binds) if (!ELSEWHERE.test(bind.target)) make(root, bind, made);
    return await work();
  } finally {
    for (const each of made.toReversed()) takeBack(each);
  }
}

function make(root: string, { source, target }: ReadOnlyBind, made: string[]): void {
  const parts = target.split('/').filter((part) => part !== '');
  const isDir = statSync(source).isDirectory();
  let at = root;
  parts.forEach((part, i) => {
    at = path.join(at, part);
    const found = statOf(at, false);
    // A symlink, if followed from here, would lead into the machine.
    if (found?.isSymbolicLink() === true) throw notThere(target, at.slice(root.length));
    if (found !== undefined) return;
    if (isDir || i < parts.length - 1) mkdirSync(at);
    else closeSync(openSync(at, 'wx'));
    made.push(at);
  });
}

function takeBack(made: string): void {
  const found = statOf(made, false);
  if (found?.isFile() === true && found.size === 0) rmSync(made);
  if (found?.isDirectory() !== true) return;
  try {
    rmdirSync(made);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}

const statOf = (file: string, follow: boolean): Stats | undefined =>
  (follow ? statSync : lstatSync)(file, { throwIfNoEntry: false });

function notThere(target: string, link: string): ByrefError {
  const message = `nothing can be seen at ${target}: ${link} is a symlink in the base`;
  return new ByrefError(
    'badInput',
    message,
    'Name the place where that leads, as in --bind DIR:PLACE.',
  );
}
