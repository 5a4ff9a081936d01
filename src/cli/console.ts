/** Connects our terminal to that of an env, through its monitor: frames as native/monitor.c describes them. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { sayLines } from './print.ts';

const INPUT = 0;
const SIZE = 1;
const HEAD = 3;
/** Ctrl-], as with telnet and virsh console. */
const LEAVE = 0x1d;
/** The terminal takes no more at once. */
const PIECE = 4096;

/** Connects until the env ends, our input does, or somebody presses Ctrl-]. */
export async function attachConsole(path: string): Promise<void> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  const { stdin, stdout } = process;
  const resize = (): void => sendSize(socket, stdout.rows, stdout.columns);
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    sayLines('byref: connected; Ctrl-] lets go\r');
  }
  if (stdout.isTTY) {
    resize();
    stdout.on('resize', resize);
  }
  socket.pipe(stdout, { end: false });
  stdin.on('data', (bytes: Buffer) => {
    const end = stdin.isTTY ? bytes.indexOf(LEAVE) : -1;
    const own = end < 0 ? bytes : bytes.subarray(0, end);
    for (let at = 0; at < own.length; at += PIECE)
      socket.write(frame(INPUT, own.subarray(at, at + PIECE)));
    if (end >= 0) socket.destroy();
  });
  // At the end of a pipe, what it said is to be answered first: the env ends the connection, or the user does.
  await once(socket, 'close');
  stdin.pause();
  if (stdin.isTTY) stdin.setRawMode(false);
  stdout.off('resize', resize);
}

function sendSize(socket: Socket, rows: number, columns: number): void {
  const size = Buffer.alloc(4);
  size.writeUInt16BE(rows, 0);
  size.writeUInt16BE(columns, 2);
  socket.write(frame(SIZE, size));
}

function frame(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(body.length, 1);
  return Buffer.concat([head, body]);
}
