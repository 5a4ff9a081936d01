/**
 * The protocol between a client that starts fast (native/client.c, or the daemon) and the runner that executes commands for it
 * (src/cli/runner.ts), over a unix socket. One connection is one command. Each message is a type (one byte), the payload's length
 * (four bytes, little-endian) and the payload; words are joined by NUL, which no word of a command line can hold.
 *
 *     client                      runner
 *     request: words …        ->
 *                             <-  accept, or decline: the client runs the command itself
 *     go                      ->      (a client that waited too long for it has gone, and ran the command itself)
 *                             <-  stdout, stderr: bytes to print, any number of times
 *                             <-  program: words; the client runs this on its own input and output
 *     status: its exit status ->
 *                             <-  attend: words of a program; as `program`, but signals that the client gets are
 *     signal: its number      ->  told here, and not to that program; its status follows as above
 *                             <-  inside: the socket of an env's exec server, and what it is asked but for the umask
 *     status: its exit status ->      (native/exec-server.c), which runs that on the client's input and output; negative: see INSIDE
 *                             <-  exit: the command's exit status; the end
 *
 * native/client.c repeats the numbers.
 */

import { ByrefError } from '../base/error.ts';

/** Types of messages. */
export const COMMAND = {
  request: 1,
  go: 2,
  status: 3,
  signal: 4,
  accept: 10,
  decline: 11,
  stdout: 12,
  stderr: 13,
  program: 14,
  exit: 15,
  attend: 16,
  inside: 17,
} as const;

/** Answers to `inside` that are no exit status, as nothing was done. */
export const INSIDE = {
  /** Nobody serves at that socket. */
  notServed: -1,
  /** The program can't be started. */
  notStarted: -2,
} as const;

/** The version of the protocol; a request of another one is declined. */
export const COMMAND_VERSION = '1';

/** The longest payload of a request: the longest command line of Linux (MAX_ARG_STRLEN times 16). */
export const REQUEST_MAX = 2 * 1024 * 1024;

const HEADER = 5;

/** One message. */
export interface Message {
  readonly type: number;
  readonly payload: Buffer;
}

/** Returns the bytes of a message. */
export function encodeMessage(type: number, payload: Uint8Array | string = ''): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'utf8') : payload;
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(type, 0);
  header.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

/** Joins bytes that arrive to messages. */
export class MessageReader {
  private pending: Buffer = Buffer.alloc(0);

  /** Takes bytes. Returns the messages that are complete. @throws RangeError for a payload that is too long */
  take(chunk: Uint8Array): Message[] {
    this.pending = Buffer.concat([this.pending, chunk]);
    const messages: Message[] = [];
    while (this.pending.length >= HEADER) {
      const length = this.pending.readUInt32LE(1);
      if (length > REQUEST_MAX) throw new RangeError(`a message of ${length} bytes`);
      if (this.pending.length < HEADER + length) break;
      const payload = this.pending.subarray(HEADER, HEADER + length);
      messages.push({ type: this.pending.readUInt8(0), payload });
      this.pending = this.pending.subarray(HEADER + length);
    }
    return messages;
  }
}

/** The surroundings of a client, and its command. */
export interface CommandRequest {
  /** Which of its input, output and error output are terminals. */
  readonly terminals: readonly [input: boolean, output: boolean, errors: boolean];
  /** The width of its terminal; 0 if it has none. */
  readonly columns: number;
  /** The kind of its terminal, as $TERM says it; '' if it says none. */
  readonly term: string;
  /** The id of its process. */
  readonly pid: number;
  readonly words: readonly string[];
}

/** Returns the payload of a request. @throws ByrefError 'usage' for a word with a NUL: it would be two */
export function encodeRequest({ terminals, columns, term, pid, words }: CommandRequest): string {
  refuseNul(words);
  const seen = terminals.map((each) => (each ? '1' : '0')).join('');
  return [COMMAND_VERSION, seen, String(columns), term, String(pid), ...words].join('\0');
}

/** Refuses what no command line can hold, but a request in JSON can. @throws ByrefError 'usage' */
export function refuseNul(words: readonly string[]): void {
  if (!words.some((word) => word.includes('\0'))) return;
  throw new ByrefError('usage', 'a word of the command has a NUL in it', 'Leave it out.');
}

const TERMINALS = /^[01]{3}$/;
const COLUMNS = /^\d{1,5}$/;
const PID = /^[1-9]\d{0,9}$/;

/** Reads the payload of a request; null if it is of another version, or not as encodeRequest() writes it. */
export function decodeRequest(payload: Buffer): CommandRequest | null {
  const [version, terminals = '', columns = '', term = '', pid = '', ...words] = payload
    .toString('utf8')
    .split('\0');
  if (version !== COMMAND_VERSION) return null;
  if (!TERMINALS.test(terminals) || !COLUMNS.test(columns) || !PID.test(pid)) return null;
  const [input, output, errors] = Array.from(terminals, (each) => each === '1');
  return {
    terminals: [input ?? false, output ?? false, errors ?? false],
    columns: Number(columns),
    term,
    pid: Number(pid),
    words,
  };
}
