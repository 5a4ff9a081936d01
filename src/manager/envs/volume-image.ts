/**
 * Volumes with a size: an ext4 file system in a sparse file, so the kernel enforces the size, and `df` in the env shows it. No
 * quota of the machine's file system is needed, and none would do on each.
 */
import { closeSync, ftruncateSync, openSync, rmdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { procNames, procText } from '../../base/proc.ts';
import { failureOf, runProgram } from '../../base/run-program.ts';

const OUTPUT_MAX = 4096;
/** No room for root alone, tables of inodes that are written when they are used, and a root directory of the env's root. */
const MKFS = ['mkfs.ext4', '-q', '-F', '-m', '0', '-E', 'lazy_itable_init=1,root_owner=0:0'];
/** `discard` gives the room of removed files back to the disk. */
const MOUNT = ['mount', '-t', 'ext4', '-o', 'loop,discard,nodev'];

/** Makes a file system in a new file. @throws ByrefError 'unsupported' without mkfs.ext4, 'error' */
export async function makeImage(file: string, bytes: number): Promise<void> {
  const fd = openSync(file, 'w', 0o600);
  ftruncateSync(fd, bytes);
  closeSync(fd);
  await run([...MKFS, file], `no file system can be made in ${file}`);
}

/** Mounts the file system of a file. @throws ByrefError 'error', such as for a damaged one */
export async function mountImage(file: string, at: string): Promise<void> {
  await run([...MOUNT, file, at], `${file} can't be mounted`);
  await skipCache(at);
}

/** Removes the directory for what a check finds: programs such as initdb want an empty one. e2fsck makes it when it needs it. */
export const emptyImage = (at: string): void => rmdirSync(path.join(at, 'lost+found'));

/** Has the loop device read and write the file past the page cache, in which the files themselves are already. */
async function skipCache(at: string): Promise<void> {
  const minor = Number(BigInt(statSync(at).dev) & 0xffn);
  // Where the disk's file system can't do that, it goes on as it is.
  await runProgram(['losetup', '--direct-io=on', `/dev/loop${minor}`], OPTIONS);
}

/** True while the kernel still has one of the images of a directory mounted, or is about to let go of it. */
export const imagesInUse = (directory: string): boolean => devicesOf(directory).length > 0;

/** Returns the numbers ("7:0") of the block devices that show the images of a directory. */
export const devicesOf = (directory: string): string[] =>
  procNames(BLOCK)
    .filter((name) => name.startsWith('loop'))
    .filter((name) =>
      procText(path.join(BLOCK, name, 'loop/backing_file')).startsWith(`${directory}/`),
    )
    .map((name) => procText(path.join(BLOCK, name, 'dev')).trim());

const BLOCK = '/sys/block';
const OPTIONS = { outputMax: OUTPUT_MAX, ofMore: 'end' } as const;

async function run(command: readonly string[], what: string): Promise<void> {
  const ended = await runProgram(command, OPTIONS);
  if (ended.code === 0) return;
  if (ended.notStarted !== null) {
    const message = `${what}: ${command[0]} is not installed`;
    throw new ByrefError('unsupported', message, 'Install it: apt-get install e2fsprogs.');
  }
  const message = `${what}: ${failureOf(command, ended)}`;
  throw new ByrefError(
    'error',
    message,
    'Check it (e2fsck -f), or leave the size of the volume out.',
  );
}
