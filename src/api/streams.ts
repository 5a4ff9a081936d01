/** Answers of the API that go on: events, and what operations print. */
import { once } from 'node:events';
import { closeSync, openSync, readSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ByrefError } from '../base/error.ts';
import { EXIT } from '../base/exit-codes.ts';
import type { EventLog } from './event-log.ts';
import type { Operations } from './operations.ts';

/** How often new output of an operation is looked for. */
const OUTPUT_POLL_MS = 50;
const CHUNK = 64 * 1024;
/** So many bytes of events may wait for a client that does not read; then it is let go of, and can ask again from the last one on. */
const UNREAD_MAX = 1024 * 1024;
/** A stream of events says something this often, so that a connection that broke is noticed. */
const KEEP_ALIVE_MS = 15_000;

/** A signal that the client of a request has gone. */
export function goneSignal({ socket }: IncomingMessage, { raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  const end = (): void => gone.abort();
  socket.once('close', end);
  // The connection may stay for many requests.
  raw.once('finish', () => socket.off('close', end));
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
  if (from !== undefined && !/^\d{1,15}$/.test(from))
    throw new ByrefError('usage', `"${from}" is no number of an event`, 'Give a whole number.');
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': isSse ? 'text/event-stream' : 'application/x-ndjson',
    'cache-control': 'no-store',
  });
  raw.flushHeaders();
  const send = (text: string): void => {
    // It does not read, and events don't wait.
    if (raw.writableLength > UNREAD_MAX) raw.destroy();
    else raw.write(text);
  };
  const end = events.follow(from === undefined ? null : Number(from), (event) => {
    const text = JSON.stringify(event);
    send(isSse ? `id: ${event.number}\nevent: ${event.what}\ndata: ${text}\n\n` : `${text}\n`);
  });
  const alive = setInterval(() => send(isSse ? ': \n\n' : '\n'), KEEP_ALIVE_MS);
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
  const gone = goneSignal(request.raw, reply);
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  raw.flushHeaders();
  const streams = (['stdout', 'stderr'] as const).map((name) => ({
    name,
    fd: openSync(files.file(name), 'r'),
  }));
  const buffer = Buffer.alloc(CHUNK);
  const passOn = async (): Promise<void> => {
    for (const { name, fd } of streams) {
      while (!gone.aborted) {
        const length = readSync(fd, buffer, 0, CHUNK, null);
        if (length === 0) break;
        const line = `${JSON.stringify({ [name]: buffer.toString('base64', 0, length) })}\n`;
        // A client that reads slowly must not make the daemon keep all of it.
        if (!raw.write(line)) await once(raw, 'drain', { signal: gone }).catch(() => undefined);
      }
    }
  };
  try {
    while (!gone.aborted) {
      const isOver = !operations.runs(id);
      // What it prints before its end is there when the end is seen.
      await passOn();
      if (isOver) {
        const { exitCode } = operations.get(id);
        raw.write(`${JSON.stringify({ exitCode: exitCode ?? EXIT.error })}\n`);
        break;
      }
      await sleep(OUTPUT_POLL_MS);
    }
  } finally {
    for (const { fd } of streams) closeSync(fd);
    await sleep(0);
    raw.end();
  }
  return reply;
}
