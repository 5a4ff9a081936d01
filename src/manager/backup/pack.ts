/** Packs a backup into one stream, and unpacks it: a tar, compressed by zstd, with sums at its end. tar(1) and zstd(1) do the work. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ByrefError } from '../../base/error.ts';
import { failureOf, runProgram } from '../../base/run-program.ts';
import { damagedBackup, PIECE, readTrailer, Sums, sumOf } from './trailer.ts';

const OUTPUT_MAX = 4096;
/** Pieces that are read between two turns of the event loop. */
const SLICE = 64;
/** All attributes, but for the tags that say which name a private file had: they are of use in the journal's own env only. */
const ATTRIBUTES = [
  '--numeric-owner',
  '--xattrs',
  '--xattrs-include=*',
  '--xattrs-exclude=trusted.byref',
  '--acls',
];
/** Each frame has zstd's own sum, too. */
const COMPRESS = 'zstd -q -3 -T0 --check';

/** Takes the bytes of a backup, in order. */
export type Sink = (bytes: Buffer) => void | Promise<void>;

/** Writes the bytes into an open file. */
export const intoFile =
  (fd: number): Sink =>
  (bytes) => {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  };

/**
 * Writes files of a directory as a backup.
 * @param names in the directory, in the order in which they are to come
 * @returns how many bytes were written
 * @throws ByrefError 'error', 'noSpace'; then a part may be written
 */
export async function pack(
  directory: string,
  names: readonly string[],
  sink: Sink,
  signal: AbortSignal,
): Promise<number> {
  const words = [
    ...['--create', '--file=-', `--use-compress-program=${COMPRESS}`, '--format=posix', '--sparse'],
    // What tar would else add of the moment and of its own process.
    '--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f',
    ...[...ATTRIBUTES, '--sort=name', `--directory=${directory}`, '--', ...names],
  ];
  const child = spawn('tar', words, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/', signal });
  const said = collect(child.stderr);
  const ended = once(child, 'close');
  // Awaited below; a failure to write comes first.
  ended.catch(() => undefined);
  const sums = new Sums();
  let bytes = 0;
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      sums.add(chunk);
      await sink(chunk);
      bytes += chunk.length;
    }
    const [code, killed] = (await ended) as [number | null, string | null];
    const how = code === null ? `signal ${killed}` : `exit status ${code}`;
    if (code !== 0) throw toolError('written', (await said) || `tar: ${how}`);
  } catch (error) {
    child.kill('SIGKILL');
    throw signal.aborted ? toolError('written', 'it was interrupted') : error;
  }
  const trailer = sums.trailer();
  await sink(trailer);
  return bytes + trailer.length;
}

async function collect(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text = (text + String(chunk)).slice(-OUTPUT_MAX);
  return text.trim();
}

/** A backup in a regular file, open. */
export class PackedBackup {
  /** As it was named, for messages. */
  readonly name: string;
  private readonly fd: number;

  /** @param file a regular file @throws the system's errors */
  constructor(name: string, file: string) {
    this.name = name;
    this.fd = openSync(file, 'r');
  }

  close(): void {
    closeSync(this.fd);
  }

  /**
   * Reads all of it, and compares it with its sums.
   * @throws ByrefError 'badInput' if it ends early, 'corrupt' with the place of what is damaged
   */
  async check(): Promise<void> {
    const { fd, name } = this;
    const trailer = readTrailer(name, fstatSync(fd).size, (at, length) => this.read(at, length));
    for (const [i, sum] of trailer.sha256.entries()) {
      // A large one takes minutes, in which who waits for us is to be told that we live.
      if (i % SLICE === 0) await nextTurn();
      const at = i * PIECE;
      const piece = this.read(at, Math.min(PIECE, trailer.bytes - at));
      if (sumOf(piece) !== sum)
        throw damagedBackup(name, `between its bytes ${at} and ${at + piece.length}`);
    }
  }

  private read(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    let count = 0;
    while (count < length) {
      const read = readSync(this.fd, bytes, count, length - count, at + count);
      if (read === 0) break;
      count += read;
    }
    return bytes.subarray(0, count);
  }

  /**
   * Unpacks files into a directory.
   * @param names all, if none are given
   * @param list a file with names instead, one a line
   * @throws ByrefError 'corrupt', 'noSpace'; then a part may be there
   */
  async unpack(
    directory: string,
    signal: AbortSignal,
    names: readonly string[] = [],
    list: string | null = null,
  ): Promise<void> {
    const file = `/proc/${process.pid}/fd/${this.fd}`;
    const words = [
      ...['tar', '--extract', `--file=${file}`, '--use-compress-program=zstd -q'],
      ...['--same-owner', '--same-permissions', '--delay-directory-restore', ...ATTRIBUTES],
      // Nothing may come where something is already, nor through a symlink of the backup's own.
      ...['--keep-old-files', `--directory=${directory}`],
      ...(list === null ? ['--', ...names] : [`--files-from=${list}`]),
    ];
    const ended = await runProgram(words, { outputMax: OUTPUT_MAX, ofMore: 'end', signal });
    if (ended.code === 0) return;
    if (signal.aborted) throw toolError('unpacked', 'it was interrupted');
    const said = failureOf(words, ended);
    // A tar that was killed says nothing of the backup.
    if (ended.code === null || /No space left/.test(said)) throw toolError('unpacked', said);
    throw damagedBackup(this.name, `it can't be unpacked: ${said}`);
  }
}

function toolError(what: string, said: string): ByrefError {
  const message = `the backup could not be ${what}: ${said}`;
  if (/No space left/.test(said))
    return new ByrefError('noSpace', message, 'Free some space, then run this again.');
  const hint = 'Nothing was made. tar and zstd are needed: apt-get install tar zstd.';
  return new ByrefError('error', message, hint);
}
