import type { Socket } from 'node:net';
import { MAX_LINE } from './protocol.ts';

/** This many bytes may wait for a peer that does not read; then nothing more is done for it. */
const UNREAD_MAX = 1024 * 1024;
/** How long a peer may take to read these before it is let go of. */
const UNREAD_MS = 5_000;
/** This many requests of one peer may be without an answer; it is heard again when one has it. */
const OPEN_MAX = 20_000;

/** Calls `onLine` with each line that arrives. A peer that sends none within MAX_LINE bytes is disconnected. */
export function readLines(socket: Socket, onLine: (line: string) => void): void {
  new LineReader(socket, onLine, Number.POSITIVE_INFINITY);
}

/**
 * Calls `onLine` with each request that arrives, as long as the peer reads what is sent to it. One that asks and asks and reads no
 * answer is disconnected, and takes a bounded room in memory until then.
 * @param onLine if it returns a promise, that is settled when the request is answered
 */
export function answerLines(socket: Socket, onLine: (line: string) => unknown): void {
  new LineReader(socket, onLine, UNREAD_MAX);
}

/** Sends a value as one line of JSON. */
export function writeLine(socket: Socket, value: unknown): void {
  socket.write(`${JSON.stringify(value)}\n`);
}

/** The lines of a peer. */
class LineReader {
  private readonly socket: Socket;
  private readonly onLine: (line: string) => unknown;
  private readonly unreadMax: number;
  private pending = '';
  private open = 0;
  private late: NodeJS.Timeout | null = null;

  constructor(socket: Socket, onLine: (line: string) => unknown, unreadMax: number) {
    this.socket = socket;
    this.onLine = onLine;
    this.unreadMax = unreadMax;
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      this.pending += chunk;
      this.take();
    });
    socket.on('drain', () => {
      this.stopClock();
      this.take();
    });
    socket.on('close', () => this.stopClock());
  }

  private take(): void {
    let from = 0;
    while (!this.isFull()) {
      const end = this.pending.indexOf('\n', from);
      if (end < 0) break;
      const line = this.pending.slice(from, end);
      from = end + 1;
      this.begin(line);
    }
    this.pending = this.pending.slice(from);
    if (this.isFull()) this.wait();
    else if (this.pending.length > MAX_LINE) this.socket.destroy();
    else this.socket.resume();
  }

  private begin(line: string): void {
    const answered = this.onLine(line);
    if (!(answered instanceof Promise)) return;
    this.open++;
    void answered.finally(() => {
      const wasFull = this.isFull();
      this.open--;
      if (wasFull && !this.isFull()) this.take();
    });
  }

  private isFull(): boolean {
    return this.open >= OPEN_MAX || this.socket.writableLength > this.unreadMax;
  }

  private wait(): void {
    this.socket.pause();
    if (this.socket.writableLength <= this.unreadMax) return;
    this.late ??= setTimeout(() => this.socket.destroy(), UNREAD_MS).unref();
  }

  private stopClock(): void {
    if (this.late !== null) clearTimeout(this.late);
    this.late = null;
  }
}
