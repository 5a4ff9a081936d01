/**
 * Files that a user names on a command line. Each is looked at first, so that none of them makes a command wait without a word or
 * fill its memory, and nothing but a regular file is ever replaced.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from './error.ts';
import { readWholeFd } from './read-whole.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** The largest configuration, in bytes: hundreds of times what people write. */
const CONFIG_MAX = 2 ** 20;

/** Errors that say what to do by themselves, whatever file they are about (cli/errors.ts). */
const OF_THE_MACHINE: ReadonlySet<string> = new Set([
  'EACCES',
  'EPERM',
  'ENOSPC',
  'EDQUOT',
  'EROFS',
]);

/** Reads a configuration: readGivenBytes(), as text. */
export const readGivenFile = (file: string, hint: string): string =>
  readGivenBytes(file, hint).toString('utf8');

/**
 * Reads a short regular file. A symlink is followed.
 * @param hint what to do if it can't be read
 * @throws ByrefError 'notFound', 'badInput'
 */
export function readGivenBytes(file: string, hint: string): Buffer {
  const found = lookAt(file, hint);
  if (found === null) throw new ByrefError('notFound', `there is no ${file}`, hint);
  return trying(file, 'read', hint, () => {
    // Without waiting: a FIFO may have come there since.
    const fd = openSync(file, O_RDONLY | O_NONBLOCK);
    try {
      const whole = readWholeFd(fd, CONFIG_MAX);
      if (Buffer.isBuffer(whole)) return whole;
      const why =
        whole === null ? `is ${kindOf(fstatSync(fd))}, no regular file` : 'is larger than 1 MiB';
      throw new ByrefError('badInput', `${file} ${why}`, hint);
    } finally {
      closeSync(fd);
    }
  });
}

/** A file that a command writes, open. */
export interface GivenOutput {
  readonly fd: number;
  /** Closes it. A regular file appears under its name now, whole. @throws ByrefError 'busy' if another command writes it, too */
  finish(): void;
  /** Closes it. A regular file stays as it was. */
  abandon(): void;
}

const OUTPUT_HINT = 'Name a file in a directory that is there, or - for standard output.';

/**
 * Opens what a user names as the place of a command's output. A device, or a FIFO, is written to; a regular file is replaced when the
 * new one is whole, where a symlink leads.
 * @param onWait is told who is waited for: "a program that reads ..."
 * @throws ByrefError 'badInput', 'notFound'
 */
export function openGivenOutput(target: string, onWait: (whom: string) => void): GivenOutput {
  const found = lookAt(target, OUTPUT_HINT);
  if (found === null || found.isFile())
    return trying(target, 'written', OUTPUT_HINT, () =>
      replacing(found === null ? target : realpathSync(target)),
    );
  if (found.isDirectory() || found.isSocket())
    throw new ByrefError('badInput', `${target} is ${kindOf(found)}`, OUTPUT_HINT);
  const fd = trying(target, 'written', OUTPUT_HINT, () => openInto(target, found, onWait));
  const close = (): void => closeSync(fd);
  return { fd, finish: close, abandon: close };
}

/** Opens a device or a FIFO. A disk that is mounted is refused by the kernel. */
function openInto(target: string, found: Stats, onWait: (whom: string) => void): number {
  const fd = found.isFIFO()
    ? openFifo(target, onWait)
    : openSync(target, found.isBlockDevice() ? O_WRONLY | O_EXCL : O_WRONLY);
  const opened = fstatSync(fd);
  if (opened.ino === found.ino && opened.dev === found.dev) return fd;
  closeSync(fd);
  throw new ByrefError('busy', `${target} has just been replaced`, 'Try again.');
}

function openFifo(target: string, onWait: (whom: string) => void): number {
  try {
    return openSync(target, O_WRONLY | O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) !== 'ENXIO') throw error;
  }
  onWait(`a program that reads ${target}`);
  return openSync(target, O_WRONLY);
}

/** Opens a file beside the one that it is to replace. */
function replacing(file: string): GivenOutput {
  const partial = `${file}.partial`;
  // What a command that was killed left; or a symlink, through which nothing is to be written.
  rmSync(partial, { force: true });
  const fd = openSync(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666);
  const isOurs = (): boolean =>
    lstatSync(partial, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
  const close = (isWhole: boolean): void => {
    const ours = isOurs();
    closeSync(fd);
    if (!ours && isWhole)
      throw new ByrefError('busy', `another command writes ${file}, too`, 'Wait for its end.');
    try {
      if (isWhole) trying(file, 'written', OUTPUT_HINT, () => renameSync(partial, file));
    } finally {
      // Of one that could not be renamed, too: as where the old one is a mount point.
      if (ours) rmSync(partial, { force: true });
    }
  };
  return { fd, finish: () => close(true), abandon: () => close(false) };
}

/**
 * Looks at what stands at a path, through symlinks; null if there is nothing, and a file can be made there.
 * @throws ByrefError 'notFound' if its directory is not there, 'badInput'
 */
function lookAt(file: string, hint: string): Stats | null {
  if (file === '') throw new ByrefError('badInput', 'an empty name names no file', hint);
  return trying(file, 'looked at', hint, () => {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found !== undefined) return found;
    if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new ByrefError('badInput', `${file} is a symlink that leads nowhere`, hint);
    const directory = path.dirname(file);
    const above = statSync(directory, { throwIfNoEntry: false });
    if (above !== undefined) return null;
    throw new ByrefError('notFound', `there is no directory ${directory}`, hint);
  });
}

/** Runs `work` on a file, and says what the machine has against it in a sentence. */
function trying<T>(file: string, done: string, hint: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof ByrefError || OF_THE_MACHINE.has(codeOf(cause) ?? '')) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ByrefError('badInput', `${file} can't be ${done}: ${why}`, hint, { cause });
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a directory';
  if (found.isFIFO()) return 'a FIFO';
  return found.isSocket() ? 'a socket' : 'a device';
}
