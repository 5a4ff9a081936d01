/** A client of the daemon's API, for the command line. */
import { existsSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { ByrefError } from '../base/error.ts';
import { RunDir } from '../ipc/run-dir.ts';
import type { Operation } from '../services/operation.ts';
import type { ErrorReply } from './errors.ts';
import type { DaemonEvent } from './event-log.ts';
import type { OperationWishes } from './operations.ts';

/** Errors of a connection that mean that no daemon listens. */
const NOBODY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EACCES']);

/** A part of what an operation printed, or its end. */
export type OutputPart =
  | { readonly stdout: string }
  | { readonly stderr: string }
  | { readonly exitCode: number };

/** Speaks with the daemon of a root. */
export class DaemonClient {
  private readonly socket: string;

  private constructor(socket: string) {
    this.socket = socket;
  }

  /** Returns a client; null if no daemon of the root listens. */
  static async find(root: string): Promise<DaemonClient | null> {
    const { socket } = new RunDir(root).daemon();
    if (!existsSync(socket)) return null;
    const client = new DaemonClient(socket);
    try {
      // Cheap, and tells whether somebody is there.
      (await client.send('HEAD', '/openapi.json', undefined)).resume();
      return client;
    } catch (error) {
      if (NOBODY.has((error as NodeJS.ErrnoException).code ?? '')) return null;
      throw error;
    }
  }

  /** Returns a client. @throws ByrefError 'notFound' if no daemon of the root listens */
  static async need(root: string): Promise<DaemonClient> {
    const client = await DaemonClient.find(root);
    if (client !== null) return client;
    const message = `no daemon of ${root} runs`;
    throw new ByrefError('notFound', message, 'Start it: byref daemon, or systemctl start byref.');
  }

  /** Lists operations, newest first. */
  operations(): Promise<Operation[]> {
    return this.json<Operation[]>('GET', '/v1/operations');
  }

  /** Returns an operation. @param waitSeconds waits for its end at most that long @throws ByrefError 'notFound' */
  operation(id: number, waitSeconds = 0): Promise<Operation> {
    return this.json<Operation>('GET', `/v1/operations/${id}?wait=${waitSeconds}`);
  }

  /** Begins an operation. */
  start(wishes: OperationWishes): Promise<Operation> {
    return this.json<Operation>('POST', '/v1/operations', wishes);
  }

  /** Asks an operation to end. @throws ByrefError 'notFound' */
  cancel(id: number): Promise<Operation> {
    return this.json<Operation>('DELETE', `/v1/operations/${id}`);
  }

  /** Follows what an operation prints, from its beginning; ends with its exit code, or when the daemon goes. */
  async *output(id: number): AsyncGenerator<OutputPart> {
    const response = await this.send('GET', `/v1/operations/${id}/output`, undefined);
    for await (const line of createInterface({ input: response })) {
      yield JSON.parse(line) as OutputPart;
    }
  }

  /** Follows events. @param after as EventLog.follow() takes it */
  async *events(after: number | null): AsyncGenerator<DaemonEvent> {
    const query = after === null ? '' : `?after=${after}`;
    const response = await this.send('GET', `/v1/events${query}`, undefined);
    for await (const line of createInterface({ input: response })) {
      if (line !== '') yield JSON.parse(line) as DaemonEvent;
    }
  }

  private async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.send(method, path, body);
    let text = '';
    response.setEncoding('utf8');
    for await (const chunk of response) text += chunk as string;
    if ((response.statusCode ?? 0) < 400) return JSON.parse(text) as T;
    const { error } = JSON.parse(text) as ErrorReply;
    throw new ByrefError(error.code, error.message, error.hint);
  }

  private send(method: string, path: string, body: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
      const sent = request({ socketPath: this.socket, method, path, headers, agent: false });
      sent.once('response', resolve);
      sent.once('error', reject);
      sent.end(payload);
    });
  }
}
