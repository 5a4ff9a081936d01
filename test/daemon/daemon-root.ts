import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { DaemonEvent } from '../../src/api/event-log.ts';
import type { Operation } from '../../src/services/operation.ts';
import { BYREF } from '../support/machine/program.ts';
import type { TestRoot } from '../support/machine/root.ts';

const PATIENCE_MS = 30_000;

/** An answer of the API. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A daemon of a test's root, and a client of it. */
export class TestDaemon {
  readonly root: TestRoot;
  private child: ChildProcess | null = null;
  private log = '';

  constructor(root: TestRoot) {
    this.root = root;
  }

  /** Starts it, and waits until it takes requests. */
  async start(...options: string[]): Promise<void> {
    const child = spawn(BYREF, ['daemon', ...options], {
      env: this.root.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    await this.until(() => this.log.includes('"msg":"ready"') || child.exitCode !== null);
    expect(this.log).toContain('"msg":"ready"');
    this.log = this.log.replace('"msg":"ready"', '"msg":"was ready"');
  }

  get pid(): number {
    return this.child?.pid ?? -1;
  }

  /** All that it and its predecessors have logged. */
  get logged(): string {
    return this.log;
  }

  get socket(): string {
    const run = this.root.env['BYREF_RUN'] ?? '';
    const key = readdirSync(run).find((name) => /^[0-9a-f]+$/.test(name)) ?? '';
    return path.join(run, key, 'daemon.sock');
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const end = once(child, 'exit');
    child.kill(signal);
    await end;
  }

  async send(method: string, url: string, body?: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
      const sent = request({ socketPath: this.socket, method, path: url, headers, agent: false });
      sent.once('response', resolve).once('error', reject).end(payload);
    });
  }

  async ask(method: string, url: string, body?: unknown): Promise<Answer> {
    const response = await this.send(method, url, body);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
    return { status: response.statusCode ?? 0, text };
  }

  /** What a request that succeeds is answered with. */
  async json<T>(method: string, url: string, body?: unknown): Promise<T> {
    const { status, text } = await this.ask(method, url, body);
    expect(status, text).toBeLessThan(300);
    return JSON.parse(text) as T;
  }

  /** Begins an operation, and waits for its end. */
  async done(method: string, url: string, body?: unknown): Promise<Operation> {
    const { id } = await this.json<Operation>(method, url, body);
    return this.json<Operation>('GET', `/v1/operations/${id}?wait=${PATIENCE_MS / 1000}`);
  }

  /** Follows events until one is as wanted; returns those that came. */
  async eventsUntil(wanted: (event: DaemonEvent) => boolean): Promise<DaemonEvent[]> {
    const response = await this.send('GET', '/v1/events?after=0');
    const events: DaemonEvent[] = [];
    for await (const line of createInterface({ input: response })) {
      if (line === '') continue;
      events.push(JSON.parse(line) as DaemonEvent);
      if (wanted(events.at(-1)!)) break;
    }
    response.destroy();
    return events;
  }

  /** Waits until it has a copy of each of so many /dev/fuse descriptors, and of no others. */
  holdsCopies(count: number): Promise<void> {
    const dir = `/proc/${this.pid}/fd`;
    const leadsTo = (fd: string): string[] => {
      try {
        return [readlinkSync(path.join(dir, fd))];
      } catch {
        return [];
      }
    };
    const copies = (): number =>
      readdirSync(dir)
        .flatMap(leadsTo)
        .filter((link) => link === '/dev/fuse').length;
    return this.until(() => copies() === count);
  }

  /** Waits until something is true. */
  async until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!(await isTrue())) {
      if (performance.now() > end) throw new Error(`it did not come about\n${this.log}`);
      await sleep(20);
    }
  }
}
