import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { ByrefError } from '../base/error.ts';
import { readLines, writeLine } from './lines.ts';
import { CONTROL_VERSION, type ReplyError, type Request, type Verbs } from './protocol.ts';

/** The implementations of the verbs; `peer` is the connection that a request came over. */
export type Handlers<V extends Verbs> = {
  readonly [K in keyof V]: (
    args: V[K]['args'],
    peer: Socket,
  ) => V[K]['result'] | Promise<V[K]['result']>;
};

type AnyHandler = (args: unknown, peer: Socket) => unknown;

/** Answers requests on a control socket. Its process must hold the process lock that belongs to the socket. */
export class ControlServer<V extends Verbs> {
  private readonly server: Server;
  private readonly path: string;
  private readonly handlers: Map<string, AnyHandler>;
  private readonly peers = new Set<Socket>();
  private readonly onLeave: () => void;

  private constructor(path: string, handlers: Handlers<V>, onLeave: () => void) {
    this.path = path;
    this.onLeave = onLeave;
    this.handlers = new Map(Object.entries(handlers) as [string, AnyHandler][]);
    this.server = createServer((socket) => this.serve(socket));
  }

  /** Listens at `path`. @param onLeave called when a connection has ended */
  static async listen<V extends Verbs>(
    path: string,
    handlers: Handlers<V>,
    onLeave: () => void,
  ): Promise<ControlServer<V>> {
    const control = new ControlServer(path, handlers, onLeave);
    // A socket may be left from a process that was killed: we hold the lock, so no such process is alive.
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      control.server.once('error', reject);
      control.server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return control;
  }

  /** Returns how many connections are open now, idle ones included. */
  get connections(): number {
    return this.peers.size;
  }

  /** Accepts no further connections, and ends those that are open. */
  close(): void {
    rmSync(this.path, { force: true });
    this.server.close();
    for (const peer of this.peers) peer.end();
  }

  private serve(socket: Socket): void {
    this.peers.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.peers.delete(socket);
      this.onLeave();
    });
    readLines(socket, (line) => void this.answer(socket, line));
  }

  private async answer(socket: Socket, line: string): Promise<void> {
    const request = parse(line);
    if (!request) {
      socket.destroy();
      return;
    }
    try {
      const result = await this.handle(request, socket);
      writeLine(socket, { v: CONTROL_VERSION, id: request.id, ok: true, result });
    } catch (error) {
      const reply = { v: CONTROL_VERSION, id: request.id, ok: false, error: replyError(error) };
      writeLine(socket, reply);
    }
  }

  private handle(request: Request, socket: Socket): unknown {
    if (request.v !== CONTROL_VERSION) throw otherVersion(request.v);
    const handler = this.handlers.get(request.verb);
    if (!handler) throw new ByrefError('usage', `no such request: ${request.verb}`, UPGRADE_HINT);
    return handler(request.args, socket);
  }
}

const UPGRADE_HINT = 'unmount its envs with the byref that mounted them, then mount them again';

function otherVersion(version: number): ByrefError {
  const message = `the running process speaks control version ${CONTROL_VERSION}, not ${version}`;
  return new ByrefError('unsupported', message, UPGRADE_HINT);
}

function parse(line: string): Request | null {
  try {
    const value = JSON.parse(line) as Partial<Request> | null;
    return typeof value?.id === 'number' && typeof value.verb === 'string'
      ? (value as Request)
      : null;
  } catch {
    return null;
  }
}

function replyError(error: unknown): ReplyError {
  if (error instanceof ByrefError) {
    return { code: error.code, message: error.message, hint: error.hint };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: 'error',
    message,
    hint: 'this is a bug in byref: please report it with this text',
  };
}
