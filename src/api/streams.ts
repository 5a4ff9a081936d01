/** Answers of the API that go on: events, and what operations print. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EXIT } from '../base/exit-codes.ts';
import type { EventLog } from './event-log.ts';
import type { Operations } from './operations.ts';

/** How often new output of an operation is looked for. */
const OUTPUT_POLL_MS = 50;
const CHUNK = 64 * 1024;
/** A stream of events says something this often, so that a connection that broke is noticed. */
const KEEP_ALIVE_MS = 15_000;

/** A signal that the client of a request has gone. */
export function goneSignal(request: IncomingMessage): AbortSignal {
  const gone = new AbortController();
  request.socket.once('close', () => gone.abort());
  return gone.signal;
}

/** Sends events as they come: lines of JSON or, to who wants them, server-sent events. */
export function followEvents(
  events: EventLog,
  after: string | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const isSse = (request.headers.accept ?? '').includes('text/event-stream');
  // A browser that connects again says what it has seen.
  const from = request.headers['last-event-id']?.toString() ?? after;
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': isSse ? 'text/event-stream' : 'application/x-ndjson',
    'cache-control': 'no-store',
  });
  raw.flushHeaders();
  const end = events.follow(from === undefined ? null : Number(from), (event) => {
    const text = JSON.stringify(event);
    raw.write(isSse ? `id: ${event.number}\nevent: ${event.what}\ndata: ${text}\n\n` : `${text}\n`);
  });
  const alive = setInterval(() => raw.write(isSse ? ': \n\n' : '\n'), KEEP_ALIVE_MS);
  request.raw.socket.once('close', () => {
    clearInterval(alive);
    end();
  });
  return reply;
}

/** Sends what an operation prints, and at its end how it ended. */
export async function followOutput(
  operations: Operations,
  id: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const files = operations.filesOf(id);
  const gone = goneSignal(request.raw);
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  raw.flushHeaders();
  const streams = (['stdout', 'stderr'] as const).map((name) => ({
    name,
    fd: openSync(files.file(name), 'r'),
  }));
  const buffer = Buffer.alloc(CHUNK);
  const passOn = (): void => {
    for (const { name, fd } of streams) {
      for (;;) {
        const length = readSync(fd, buffer, 0, CHUNK, null);
        if (length === 0) break;
        raw.write(`${JSON.stringify({ [name]: buffer.toString('base64', 0, length) })}\n`);
      }
    }
  };
  try {
    let { state, exitCode } = operations.get(id);
    while (!gone.aborted) {
      // What it prints before its end is there when the end is seen.
      passOn();
      if (state !== 'running') {
        raw.write(`${JSON.stringify({ exitCode: exitCode ?? EXIT.error })}\n`);
        break;
      }
      const pause = AbortSignal.any([gone, AbortSignal.timeout(OUTPUT_POLL_MS)]);
      ({ state, exitCode } = await operations.wait(id, pause));
    }
  } finally {
    for (const { fd } of streams) closeSync(fd);
    await sleep(0);
    raw.end();
  }
  return reply;
}
