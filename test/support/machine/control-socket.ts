import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { RunDir } from '../../../src/ipc/run-dir.ts';
import type { TestRoot } from './root.ts';

/** The path of a file in the run directory of a test's root, such as "holder.sock". */
export const runFile = (root: TestRoot, name: string): string =>
  path.join(root.env['BYREF_RUN'] ?? '', path.basename(new RunDir(root.path).path), name);

/** A reply, as far as one can know it. */
export interface RawReply {
  readonly id?: number;
  readonly ok?: boolean;
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

/** A connection to a control socket, over which any bytes can be sent. */
export class RawControl {
  readonly socket: Socket;
  private readonly lines: Interface;
  private readonly replies: AsyncIterator<string>;
  /** True once the other side has ended the connection. */
  ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.lines = createInterface({ input: socket });
    this.replies = this.lines[Symbol.asyncIterator]();
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.ended = true;
    });
  }

  static async to(file: string): Promise<RawControl> {
    const socket = connect(file);
    await once(socket, 'connect');
    return new RawControl(socket);
  }

  /** Sends a line, and returns the next one that comes; null if the connection ends instead. */
  async ask(line: string): Promise<string | null> {
    this.socket.write(`${line}\n`);
    const { value, done } = await this.replies.next();
    return done ? null : value;
  }

  /** Sends a request, and returns its reply. */
  async request(verb: string, args: unknown): Promise<RawReply | null> {
    const reply = await this.ask(JSON.stringify({ v: 1, id: 1, verb, args }));
    return reply === null ? null : (JSON.parse(reply) as RawReply);
  }

  close(): void {
    this.lines.close();
    this.socket.destroy();
  }
}
