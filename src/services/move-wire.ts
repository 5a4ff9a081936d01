/**
 * What `byref move` and `byref receive` say to each other over two pipes: frames of one byte (1: a message, JSON; 2: bytes of a backup; 3: its end), a
 * length (u32, little-endian), and so many bytes.
 *
 *     move                                     receive
 *     hello: name, versions of the stack   ->
 *                                          <-  need: identities of versions that are not there
 *     a backup with those versions         ->
 *                                          <-  whole: it is restored, under a name that nobody sees
 *     confirm                              ->
 *                                          <-  done: it has its name, and runs if it ran
 *
 * Instead of each of its answers, the receiver may send an error: then it has made nothing. It undoes what it made if the connection ends before
 * `confirm`. A sender that has confirmed and hears no more asks on another connection what became of it.
 */
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { ByrefError } from '../base/error.ts';
import { EXIT, type ExitName } from '../base/exit-codes.ts';

/** Of the protocol; another one is refused. */
export const MOVE_PROTOCOL = 1;

const MESSAGE = 1;
const DATA = 2;
const END = 3;
const HEAD = 5;
const MESSAGE_MAX = 2 ** 22;
const DATA_MAX = 2 ** 24;
/** Of what is no frame, this much is told. */
const SHOWN = 200;

/** A version of the env's stack. */
export interface WantedVersion {
  readonly template: string;
  readonly version: number;
  readonly identity: string;
}

/** The first message of a sender. */
export interface Hello {
  readonly byref: 'move' | 'ask';
  readonly protocol: number;
  /** Random, 32 hex digits: of one move. */
  readonly move: string;
  /** The name that the env is to have. */
  readonly name: string;
  readonly stack: readonly WantedVersion[];
  readonly sameIdentity: boolean;
  readonly start: boolean;
}

/** The env as the receiver has it. */
export interface Received {
  readonly name: string;
  readonly id: number;
  /** null: it does not run. */
  readonly pid: number | null;
}

/** A message; which fields it has says what it is. */
export interface Message extends Partial<Hello> {
  readonly need?: readonly string[];
  readonly whole?: boolean;
  readonly confirm?: boolean;
  readonly done?: Received;
  /** The answer to `ask`. */
  readonly has?: Received | null;
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

/** One end of the connection. */
export class Wire {
  private readonly peer: string;
  private readonly input: AsyncIterator<Buffer>;
  private readonly output: Writable;
  private pending: Buffer = Buffer.alloc(0);

  /** @param peer for messages: "the connection to host" */
  constructor(peer: string, input: Readable, output: Writable) {
    this.peer = peer;
    this.input = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.output = output;
    // Who writes is told.
    output.on('error', () => undefined);
  }

  /** @throws ByrefError 'unreachable' */
  send(message: Message): Promise<void> {
    return this.write(MESSAGE, Buffer.from(JSON.stringify(message), 'utf8'));
  }

  /** Sends bytes of a backup. @throws ByrefError 'unreachable' */
  async sendData(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += DATA_MAX)
      await this.write(DATA, bytes.subarray(at, at + DATA_MAX));
  }

  /** Says that all of the backup was sent. @throws ByrefError 'unreachable' */
  sendEnd(): Promise<void> {
    return this.write(END, Buffer.alloc(0));
  }

  private async write(type: number, bytes: Buffer): Promise<void> {
    const head = Buffer.alloc(HEAD);
    head.writeUInt8(type, 0);
    head.writeUInt32LE(bytes.length, 1);
    const whole = Buffer.concat([head, bytes]);
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

  /** Returns the bytes of a backup until its end. It ends with an error if the connection does. */
  data(): Readable {
    return Readable.from(this.pieces(), { objectMode: false });
  }

  private async *pieces(): AsyncGenerator<Buffer> {
    for (;;) {
      const { type, bytes } = await this.next();
      if (type === END) return;
      if (type !== DATA) throw this.noMessage(bytes);
      yield bytes;
    }
  }

  private async next(): Promise<{ type: number; bytes: Buffer }> {
    const head = await this.read(HEAD);
    const type = head.readUInt8(0);
    const length = head.readUInt32LE(1);
    const max = type === MESSAGE ? MESSAGE_MAX : type === DATA ? DATA_MAX : 0;
    if (type < MESSAGE || type > END || length > max)
      throw this.noMessage(Buffer.concat([head, this.pending]));
    return { type, bytes: await this.read(length) };
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
    try {
      const next: IteratorResult<Buffer, unknown> = await this.input.next();
      if (next.done !== true) return next.value;
    } catch {
      // As at its end.
    }
    throw this.broken();
  }

  /** Says that nothing more comes, and waits until all of it is written. */
  async end(): Promise<void> {
    if (this.output.destroyed) return;
    const closed = once(this.output, 'close').catch(() => undefined);
    this.output.end();
    await closed;
  }

  private broken(): ByrefError {
    const hint = 'See what it said above, if anything, then run this again.';
    return new ByrefError('unreachable', `${this.peer} ended early`, hint);
  }

  private noMessage(bytes: Buffer): ByrefError {
    const text = bytes.subarray(0, SHOWN).toString('utf8').trim();
    const message = `${this.peer}: what answers is no byref of this protocol: ${text}`;
    const hint = 'A shell that prints something at its start does that, or another byref there.';
    return new ByrefError('badInput', message, hint);
  }

  private saidError({ code, message, hint }: NonNullable<Message['error']>): ByrefError {
    const name = Object.hasOwn(EXIT, code) ? (code as ExitName) : 'error';
    return new ByrefError(name, `${this.peer}: ${message}`, hint);
  }
}

function messageIn(bytes: Buffer): Message | null {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
