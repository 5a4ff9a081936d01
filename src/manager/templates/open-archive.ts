/** Opens an archive as a stream of tar bytes, with the decompressor that its first bytes call for. */
import { type ChildProcessByStdio, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { ByrefError } from '../../base/error.ts';
import { native } from '../../native/binding.ts';
import { badArchive } from './tar/header.ts';

const FORMATS = [
  { magic: '1f8b', command: ['gzip', '-dc'] },
  { magic: 'fd377a585a00', command: ['xz', '-dc', '-T0'] },
  { magic: '28b52ffd', command: ['zstd', '-dcq'] },
  { magic: '425a68', command: ['bzip2', '-dc'] },
] as const;
const MAGIC_BYTES = 6;
const SEEK_CUR = 1;
const PIECE = 2 ** 20;
/** How much of a decompressor's message goes into a sentence, in characters. */
const COMPLAINT_MAX = 200;

/** Returns how much of the archive was read so far, 0 .. 1. */
export type Part = () => number;

interface ArchiveOptions {
  /** `read` need not read to the end: then it is not an error if the decompressor is stopped. */
  readonly partly?: boolean;
}

type Read<T> = (stream: AsyncIterable<Buffer>, part: Part) => Promise<T>;

/**
 * Passes the tar bytes of `file` to `read`, and returns what it returns. An error of the decompressor takes
 * precedence, since to `read` it looks like an archive that just ends.
 * @throws ByrefError 'badInput', or 'unsupported' if the decompressor is not installed
 */
export async function withArchive<T>(
  file: string,
  read: Read<T>,
  { partly = false }: ArchiveOptions = {},
): Promise<T> {
  const input = openSync(file, 'r');
  try {
    const size = fstatSync(input).size || 1;
    const magic = firstBytes(input);
    const format = FORMATS.find((candidate) => magic.startsWith(candidate.magic));
    if (format !== undefined) {
      // The decompressor moves the position of the descriptor that it shares with us.
      const part = () => native.lseek(input, 0, SEEK_CUR) / size;
      const { command } = format;
      return await withDecompressor(file, input, { command, partly }, (stream) =>
        read(stream, part),
      );
    }
    const stream = createReadStream(file, { highWaterMark: PIECE });
    return await read(stream, () => stream.bytesRead / size).finally(() => stream.destroy());
  } finally {
    closeSync(input);
  }
}

interface Decompressor {
  readonly command: readonly [string, ...string[]];
  readonly partly: boolean;
}

/** Spawns it itself: its output is read while it runs, and its input is a descriptor of ours. */
async function withDecompressor<T>(
  file: string,
  input: number,
  { command: [command, ...args], partly }: Decompressor,
  read: (stream: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const stdio: StdioOptions = [input, 'pipe', 'pipe'];
  const child = spawn(command, args, { stdio }) as ChildProcessByStdio<null, Readable, Readable>;
  let complaint = '';
  child.stderr.on('data', (bytes: Buffer) => {
    complaint = (complaint + bytes.toString()).slice(0, COMPLAINT_MAX);
  });
  const ended = once(child, 'close').then(
    ([code]) => code as number | null,
    (cause: unknown) => cause as Error,
  );
  let result: T | null = null;
  let failure: unknown = null;
  try {
    result = await read(child.stdout as AsyncIterable<Buffer>);
  } catch (error) {
    failure = error;
    child.stdout.destroy();
  }
  if (partly) child.stdout.destroy();
  const end = await ended;
  if (end instanceof Error) {
    const message = `${command} is needed to read ${file}`;
    throw new ByrefError('unsupported', message, `Install ${command}.`, { cause: end });
  }
  // A decompressor that was stopped by our own refusal ends with a signal: null, and no complaint.
  if (end !== 0 && !(partly && failure === null) && (failure === null || complaint !== '')) {
    throw badArchive(`${file} is truncated or damaged (${command}: ${complaint.trim()})`);
  }
  if (failure !== null) throw failure as Error;
  return result as T;
}

/** Returns the file's first bytes in hex, without moving the descriptor's position. */
function firstBytes(fd: number): string {
  const bytes = Buffer.alloc(MAGIC_BYTES);
  return bytes.toString('hex', 0, readSync(fd, bytes, 0, MAGIC_BYTES, 0));
}
