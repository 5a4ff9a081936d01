import { connect, type Socket } from 'node:net';
import { ByrefError } from '../base/error.ts';
import { EXIT } from '../base/exit-codes.ts';
import { endOf } from './last-words.ts';
import { readLines, writeLine } from './lines.ts';
import { CONTROL_VERSION, type Reply, type Verbs } from './protocol.ts';

/** Thrown when the peer ended the connection before it answered: it stopped, or was killed. */
export class PeerGone extends ByrefError {
  /** @param how it ended: "was killed" */
  constructor(peer: string, how: string | null = null) {
    const hint = 'Its log, in the run directory, says why; try again.';
    super('error', `the ${peer} ${how ?? 'ended'} before it answered`, hint);
    this.name = 'PeerGone';
  }
}

/**
 * Errors of connect(2) that mean that nothing listens: no socket; a socket without a listener; or a listener
 * that ended before it accepted this connection.
 */
const NOBODY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET']);

/** Returns the reply in a line; null if it is none. */
function replyIn(line: string): Reply | null {
  try {
    const value = JSON.parse(line) as {
      readonly id?: unknown;
      readonly ok?: unknown;
      readonly error?: { readonly code?: unknown; readonly message?: unknown };
    } | null;
    if (typeof value?.id !== 'number' || typeof value.ok !== 'boolean') return null;
    const { code, message } = value.error ?? {};
    const isError = typeof message === 'string' && Object.hasOwn(EXIT, String(code));
    return value.ok || isError ? (value as Reply) : null;
  } catch {
    return null;
  }
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout | null;
}

/** A connection to a driver or to the holder; calls may overlap. */
export class ControlClient<V extends Verbs> {
  private readonly socket: Socket;
  private readonly peer: string;
  private readonly path: string;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 1;
  /** True once the connection has ended: every call then rejects with PeerGone. */
  gone = false;

  private constructor(socket: Socket, path: string, peer: string) {
    this.path = path;
    this.socket = socket;
    this.peer = peer;
    readLines(socket, (line) => this.take(line));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.end());
  }

  /**
   * Connects to a control socket. Resolves to null if nothing listens at `path`.
   * @param peer what it is, for messages: "driver of shard 0"
   */
  static connect<V extends Verbs>(path: string, peer: string): Promise<ControlClient<V> | null> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        resolve(new ControlClient<V>(socket, path, peer));
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (NOBODY.has(error.code ?? '')) resolve(null);
        else reject(error);
      });
    });
  }

  /**
   * Sends a request. Rejects with the peer's ByrefError, with PeerGone, or with 'locked' when no answer came in
   * time.
   * @param timeoutMs 0 waits for as long as it takes
   */
  call<K extends keyof V & string>(
    verb: K,
    args: V[K]['args'],
    timeoutMs = 30_000,
  ): Promise<V[K]['result']> {
    if (this.gone) return Promise.reject(this.peerGone());
    const id = this.nextId++;
    return new Promise<unknown>((resolve, reject) => {
      const timer = timeoutMs > 0 ? setTimeout(() => this.giveUp(id, verb), timeoutMs) : null;
      this.waiting.set(id, { resolve, reject, timer });
      writeLine(this.socket, { v: CONTROL_VERSION, id, verb, args });
    });
  }

  close(): void {
    this.gone = true;
    this.socket.destroy();
  }

  /** Lets the process end although this connection is open. */
  unref(): void {
    this.socket.unref();
  }

  /** Calls the listener once when the connection has ended. */
  onGone(listener: () => void): void {
    this.socket.once('close', listener);
  }

  private take(line: string): void {
    const reply = replyIn(line);
    if (reply === null) {
      // Another program, or a damaged one: whoever waits learns that nothing more comes.
      this.socket.destroy();
      return;
    }
    const waiting = this.forget(reply.id);
    if (!waiting) return;
    if (reply.ok) waiting.resolve(reply.result);
    else waiting.reject(new ByrefError(reply.error.code, reply.error.message, reply.error.hint));
  }

  private giveUp(id: number, verb: string): void {
    const message = `the ${this.peer} did not answer '${verb}' in time`;
    const hint = 'Its log is in the run directory; if it hangs, end it and unmount the env.';
    this.forget(id)?.reject(new ByrefError('locked', message, hint));
  }

  private forget(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    if (!waiting) return undefined;
    this.waiting.delete(id);
    if (waiting.timer) clearTimeout(waiting.timer);
    return waiting;
  }

  private end(): void {
    this.gone = true;
    for (const id of [...this.waiting.keys()]) this.forget(id)?.reject(this.peerGone());
  }

  /** Drivers say in their log that they end; the other processes don't. */
  private peerGone(): PeerGone {
    const isDriver = this.peer.startsWith('driver');
    return new PeerGone(this.peer, isDriver ? endOf(this.path.replace(/sock$/, 'log')) : null);
  }
}
