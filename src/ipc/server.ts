import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { ByrefError } from '../base/error.ts';
import type { Check } from './check.ts';
import { answerLines, writeLine } from './lines.ts';
import { CONTROL_VERSION, type ReplyError, type Request, type Verbs } from './protocol.ts';

/** The implementations of the verbs; `peer` is the connection that a request came over. */
export type Handlers<V extends Verbs> = {
  readonly [K in keyof V]: (
    args: V[K]['args'],
    peer: Socket,
  ) => V[K]['result'] | Promise<V[K]['result']>;
};

/** What each verb takes. */
export type Checks<V extends Verbs> = Readonly<Record<keyof V, Check>>;

type AnyHandler = (args: unknown, peer: Socket) => unknown;

/** Answers requests on a control socket. Its process must hold the process lock that belongs to the socket. */
export class ControlServer<V extends Verbs> {
  private readonly server: Server;
  private readonly path: string;
  private readonly handlers: Map<string, AnyHandler>;
  private readonly checks: Map<string, Check>;
  private readonly peers = new Set<Socket>();
  private readonly onLeave: () => void;

  private constructor(path: string, handlers: Handlers<V>, checks: Checks<V>, onLeave: () => void) {
    this.path = path;
    this.onLeave = onLeave;
    this.handlers = new Map(Object.entries(handlers) as [string, AnyHandler][]);
    this.checks = new Map(Object.entries(checks));
    this.server = createServer((socket) => this.serve(socket));
  }

  /** Listens at `path`. @param checks what the handlers are called with @param onLeave called when a connection has ended */
  static async listen<V extends Verbs>(
    path: string,
    handlers: Handlers<V>,
    checks: Checks<V>,
    onLeave: () => void,
  ): Promise<ControlServer<V>> {
    const control = new ControlServer(path, handlers, checks, onLeave);
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
    answerLines(socket, (line) => this.answer(socket, line));
  }

  /** Answers at once what can be, so that no more is begun than the peer reads. */
  private answer(socket: Socket, line: string): Promise<void> | undefined {
    const request = parse(line);
    if (!request) {
      refuse(socket, 0, notARequest());
      socket.end();
      return undefined;
    }
    const { id } = request;
    const give = (result: unknown): void =>
      writeLine(socket, { v: CONTROL_VERSION, id, ok: true, result });
    try {
      const result = this.handle(request, socket);
      if (result instanceof Promise)
        return result.then(give).catch((error: unknown) => refuse(socket, id, error));
      give(result);
    } catch (error) {
      refuse(socket, id, error);
    }
    return undefined;
  }

  private handle(request: Request, socket: Socket): unknown {
    if (request.v !== CONTROL_VERSION) throw otherVersion(request.v);
    const handler = this.handlers.get(request.verb);
    const check = this.checks.get(request.verb);
    if (!handler || !check) {
      const name = request.verb.slice(0, SHOWN_MAX);
      throw new ByrefError('usage', `no such request: ${name}`, UPGRADE_HINT);
    }
    const wrong = check(request.args, 'args');
    if (wrong === null) return handler(request.args, socket);
    throw new ByrefError('usage', `${request.verb} can't be answered: ${wrong}`, UPGRADE_HINT);
  }
}

const UPGRADE_HINT = 'Unmount its envs with the byref that mounted them, then mount them again.';

/** No more of what a peer sent is repeated in an answer. */
const SHOWN_MAX = 100;

const notARequest = (): ByrefError =>
  new ByrefError('usage', 'this is no request', 'See src/ipc/protocol.ts.');

function refuse(socket: Socket, id: number, error: unknown): void {
  writeLine(socket, { v: CONTROL_VERSION, id, ok: false, error: replyError(error) });
}

function otherVersion(version: unknown): ByrefError {
  const other = version === undefined ? 'none' : JSON.stringify(version).slice(0, SHOWN_MAX);
  const message = `the running process speaks control version ${CONTROL_VERSION}, not ${other}`;
  return new ByrefError('unsupported', message, UPGRADE_HINT);
}

function parse(line: string): Request | null {
  try {
    const value = JSON.parse(line) as Partial<Request> | null;
    return Number.isSafeInteger(value?.id) && typeof value?.verb === 'string'
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
    hint: 'This is a bug in byref: please report it with this text.',
  };
}
