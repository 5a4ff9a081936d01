import type { Socket } from 'node:net';
import { MAX_LINE } from './protocol.ts';

/** Calls `onLine` with each line that arrives. A peer that sends none within MAX_LINE bytes is disconnected. */
export function readLines(socket: Socket, onLine: (line: string) => void): void {
  let pending = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    pending += chunk;
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      const line = pending.slice(0, end);
      pending = pending.slice(end + 1);
      onLine(line);
    }
    if (pending.length > MAX_LINE) socket.destroy();
  });
}

/** Sends a value as one line of JSON. */
export function writeLine(socket: Socket, value: unknown): void {
  socket.write(`${JSON.stringify(value)}\n`);
}
