/**
 * What `byref move` and `byref receive` say to each other over two pipes: frames of one byte (1: a message, JSON; 2: bytes; 3: the end of such; 4:
 * nothing, so that the other side knows that we live), a length (u32, little-endian), and so many bytes. What the messages are, move-messages.ts says.
 */
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { ByrefError } from '../base/error.ts';
import { EXIT, type ExitName } from '../base/exit-codes.ts';
import type { Message } from './move-messages.ts';

const MESSAGE = 1;
const DATA = 2;
const END = 3;
const ALIVE = 4;
/** How often we say that we live, and how long nothing may be heard of the other side, in milliseconds. */
const SAY_MS = 10_000;
const HEAR_MS = 120_000;
const HEAD = 5;
const MESSAGE_MAX = 2 ** 22;
const DATA_MAX = 2 ** 24;
/** Of what is no frame, this much is told. */
const SHOWN = 200;

/** One end of the connection. */
export class Wire {
  private readonly peer: string;
  private readonly input: AsyncIterator<Buffer>;
  private readonly output: Writable;
  private pending: Buffer = Buffer.alloc(0);
  private readonly hearMs: number;
  private readonly alive: NodeJS.Timeout;
  /** How many bytes of data were sent. */
  sent = 0;

  /** @param peer for messages: "the connection to host" @param hearMs how long nothing may be heard of it, in milliseconds */
  constructor(peer: string, input: Readable, output: Writable, hearMs = HEAR_MS) {
    this.peer = peer;
    this.hearMs = hearMs;
    this.alive = setInterval(
      () => {
        if (output.writable && !output.writableNeedDrain) output.write(frameHead(ALIVE, 0));
      },
      Math.min(SAY_MS, hearMs / 4),
    ).unref();
    this.input = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.output = output;
    // Who writes is told.
    output.on('error', () => undefined);
  }

  /** @throws ByrefError 'unreachable' */
  send(message: Message): Promise<void> {
    return this.write(MESSAGE, Buffer.from(JSON.stringify(message), 'utf8'));
  }

  /** Sends bytes, and their end. @throws ByrefError 'unreachable'; what `stream` throws */
  async sendAll(stream: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    for await (const bytes of stream) {
      for (let at = 0; at < bytes.length; at += DATA_MAX)
        await this.write(DATA, bytes.subarray(at, at + DATA_MAX));
      this.sent += bytes.length;
    }
    await this.write(END, Buffer.alloc(0));
  }

  private async write(type: number, bytes: Buffer): Promise<void> {
    const whole = Buffer.concat([frameHead(type, bytes.length), bytes]);
    const failed = await new Promise<Error | null | undefined>((resolve) => {
      this.output.write(whole, resolve);
    });
    if (failed) throw this.broken();
  }

  /** Returns the next message. @throws ByrefError 'unreachable' if the connection ends, 'badInput' for what is none; what the peer says of an error */
  async receive(): Promise<Message> {
    const { type, bytes } = await this.next();
    if (type !== MESSAGE) throw this.noMessage(bytes);
    const message = messageIn(bytes);
    if (message === null) throw this.noMessage(bytes);
    if (message.error !== undefined) throw this.saidError(message.error);
    return message;
  }

  /** Returns the bytes that are sent, until their end. It ends with an error if the connection does. */
  data(): Readable {
    return Readable.from(this.pieces(), { objectMode: false });
  }

  /** Also the first bytes of what does not come to its end are given. */
  private async *pieces(): AsyncGenerator<Buffer> {
    for (;;) {
      const { type, length } = await this.head();
      if (type === END) return;
      if (type !== DATA) throw this.refusal(await this.read(length));
      for (let left = length; left > 0; ) {
        const bytes = await this.some(left);
        left -= bytes.length;
        yield bytes;
      }
    }
  }

  private async next(): Promise<{ type: number; bytes: Buffer }> {
    const { type, length } = await this.head();
    return { type, bytes: await this.read(length) };
  }

  private async head(): Promise<{ type: number; length: number }> {
    for (;;) {
      const head = await this.read(HEAD);
      const type = head.readUInt8(0);
      const length = head.readUInt32LE(1);
      const max = type === MESSAGE ? MESSAGE_MAX : type === DATA ? DATA_MAX : 0;
      if (type < MESSAGE || type > ALIVE || length > max)
        throw this.noMessage(Buffer.concat([head, this.pending]));
      if (type !== ALIVE) return { type, length };
    }
  }

  private async some(max: number): Promise<Buffer> {
    while (this.pending.length === 0) this.pending = await this.piece();
    const bytes = this.pending.subarray(0, max);
    this.pending = this.pending.subarray(bytes.length);
    return bytes;
  }

  private async read(length: number): Promise<Buffer> {
    const pieces = [this.pending];
    let have = this.pending.length;
    while (have < length) {
      const piece = await this.piece();
      pieces.push(piece);
      have += piece.length;
    }
    const all = Buffer.concat(pieces);
    this.pending = all.subarray(length);
    return all.subarray(0, length);
  }

  private async piece(): Promise<Buffer> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, this.hearMs, null);
    });
    try {
      const next = await Promise.race([this.input.next(), silence]);
      if (next === null) throw this.broken('is silent');
      if (next.done !== true) return next.value;
    } catch (error) {
      if (error instanceof ByrefError) throw error;
      // As at its end.
    } finally {
      clearTimeout(timer);
    }
    throw this.broken();
  }

  /** Says that nothing more comes, and waits until all of it is written. */
  async end(): Promise<void> {
    this.close();
    if (this.output.destroyed) return;
    const closed = once(this.output, 'close').catch(() => undefined);
    this.output.end();
    await closed;
  }

  /** Says no longer that we live. */
  close(): void {
    clearInterval(this.alive);
  }

  private broken(how = 'ended early'): ByrefError {
    const hint = 'See what it said above, if anything, then run this again.';
    return new ByrefError('unreachable', `${this.peer} ${how}`, hint);
  }

  private noMessage(bytes: Buffer): ByrefError {
    const text = bytes.subarray(0, SHOWN).toString('utf8').trim();
    const message = `${this.peer}: what answers is no byref of this protocol: ${text}`;
    const hint = 'A shell that prints something at its start does that, or another byref there.';
    return new ByrefError('badInput', message, hint);
  }

  /** Makes the error of a message where there are to be bytes: the peer gives up, or is none. */
  private refusal(bytes: Buffer): ByrefError {
    const error = messageIn(bytes)?.error;
    return error === undefined ? this.noMessage(bytes) : this.saidError(error);
  }

  private saidError({ code, message, hint }: NonNullable<Message['error']>): ByrefError {
    const name = Object.hasOwn(EXIT, code) ? (code as ExitName) : 'error';
    return new ByrefError(name, `${this.peer}: ${message}`, hint);
  }
}

function frameHead(type: number, length: number): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt8(type, 0);
  head.writeUInt32LE(length, 1);
  return head;
}

function messageIn(bytes: Buffer): Message | null {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
