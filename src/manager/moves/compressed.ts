/** Compresses a stream, or unpacks one, by zstd(1). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { ByrefError } from '../../base/error.ts';

type Input = AsyncIterable<Buffer> | Iterable<Buffer>;

const PACK = ['-q', '-3', '-T0', '--check'];
const UNPACK = ['-q', '-dc'];

/** Yields the stream compressed. @throws ByrefError 'unsupported' without zstd; what `input` throws */
export const packed = (input: Input): AsyncGenerator<Buffer> => through(PACK, input);

/**
 * Yields the stream unpacked. Of one that ends with an error, what came before it is yielded first.
 * @throws ByrefError 'badInput' for one that was not compressed; what `input` throws
 */
export const unpacked = (input: Input): AsyncGenerator<Buffer> => through(UNPACK, input);

async function* through(words: readonly string[], input: Input): AsyncGenerator<Buffer> {
  const child = spawn('zstd', words, { stdio: ['pipe', 'pipe', 'ignore'], cwd: '/' });
  const ended = once(child, 'close').then(
    ([code]) => code as number | null,
    (cause: unknown) => cause as Error,
  );
  // It may end before it has read all.
  child.stdin.on('error', () => undefined);
  const fed = feed(input, child.stdin).then(
    () => null,
    (cause: unknown) => ({ cause }),
  );
  let isRead = false;
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    isRead = true;
  } finally {
    if (!isRead) child.kill('SIGKILL');
  }
  const end = await ended;
  const failed = await fed;
  if (failed !== null) throw failed.cause;
  if (end instanceof Error)
    throw new ByrefError('unsupported', 'zstd is needed', 'Install it: apt-get install zstd.');
  if (end !== 0) throw new ByrefError('badInput', 'what came is damaged', 'Send it again.');
}

async function feed(input: Input, to: Writable): Promise<void> {
  try {
    for await (const piece of input) {
      if (to.destroyed) return;
      if (!to.write(piece)) await drained(to);
    }
  } finally {
    to.end();
  }
}

/** Waits until more can be written, or the other end is gone. */
const drained = (to: Writable): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      to.off('drain', done).off('close', done);
      resolve();
    };
    to.on('drain', done).on('close', done);
  });
