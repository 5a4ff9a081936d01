/**
 * The program that executes short commands for clients which start faster than Node does. It belongs to a daemon, which
 * starts it and notices when it hangs: what it executes may wait for a driver, and the daemon never does.
 *
 *     runner.js ROOT SOCKET     listens until its input ends
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { chmodSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { ownWords } from '../base/own-words.ts';
import {
  COMMAND,
  type CommandRequest,
  decodeRequest,
  encodeMessage,
  type Message,
  MessageReader,
} from '../ipc/command-protocol.ts';
import { openLog } from '../observe/log.ts';
import { openForAll } from '../store/store.ts';
import { parseArgv } from './argv.ts';
import { run } from './command.ts';
import { reportFailure } from './errors.ts';
import { type CommandOutput, type OutputStream, provideOutput } from './output.ts';
import { printOwn } from './print.ts';
import { isQuick } from './quick-verbs.ts';
import { loadCommand } from './registry.ts';
import { NeedsOwnProcess } from './session.ts';
import { findVerb } from './verbs.ts';

const current = new AsyncLocalStorage<CommandOutput>();
provideOutput(() => current.getStore());

/** No client has reason to send more messages than this before they are asked for. */
const ARRIVED_MAX = 16;
/** Numbers of signals, and exit statuses: longer numbers are none. */
const NUMBER = /^\d{1,3}$/;
/** What a client says of a program: its exit status, or one of INSIDE. */
const STATUS = /^(?:\d{1,3}|-[12])$/;

/** The client went while it ran a program: what comes after that is not done, as if the command had been killed. */
class ClientGone extends Error {}

/** One client, and its command. */
class Client {
  private readonly socket: Socket;
  private readonly root: string;
  private readonly reader = new MessageReader();
  private readonly waiting: ((message: Message | null) => void)[] = [];
  private readonly arrived: Message[] = [];
  private readonly signals: ((signal: number) => void)[] = [];
  private hasAsked = false;
  private gone = false;

  constructor(socket: Socket, root: string) {
    this.socket = socket;
    this.root = root;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('close', () => this.leave());
  }

  /** Executes the client's command. */
  async serve(): Promise<void> {
    const first = await this.next(COMMAND.request);
    const request = first === null ? null : decodeRequest(first.payload);
    const verb = request === null ? null : parseArgv(request.words);
    const found = verb === null ? undefined : findVerb(verb.verb);
    if (
      request === null ||
      verb === null ||
      found === undefined ||
      !isQuick(found.name, verb.rest)
    ) {
      this.socket.end(encodeMessage(COMMAND.decline));
      return;
    }
    this.send(COMMAND.accept);
    if ((await this.next(COMMAND.go)) === null) return;
    let code = 0;
    const output = this.outputOf(request, (status) => {
      code = status;
    });
    const rest = ['--root', this.root, ...verb.rest];
    await current.run(output, async () => {
      try {
        await run(await loadCommand(found.name), rest);
      } catch (error) {
        if (error instanceof ClientGone) return;
        if (error instanceof NeedsOwnProcess) code = -1;
        else code = await reportFailure(error, ownWords(verb.rest).includes('--json'));
      }
    });
    if (code < 0) this.socket.end(encodeMessage(COMMAND.decline));
    else this.socket.end(encodeMessage(COMMAND.exit, String(code)));
  }

  private outputOf(
    { terminals: [input, output, errors], columns, term, pid }: CommandRequest,
    setExitCode: (code: number) => void,
  ): CommandOutput {
    const stream = (type: number, isTTY: boolean): OutputStream => ({
      isTTY,
      columns: isTTY ? columns : undefined,
      write: (chunk) => this.send(type, chunk),
    });
    return {
      stdout: stream(COMMAND.stdout, output),
      stderr: stream(COMMAND.stderr, errors),
      inputIsTerminal: input,
      term,
      setExitCode,
      runProgram: (words) => this.runProgram(COMMAND.program, words),
      runInside: (socket, request) => this.runProgram(COMMAND.inside, [socket, ...request]),
      foreground: {
        pid,
        run: (words) => this.runProgram(COMMAND.attend, words),
        onSignal: (listener) => this.signals.push(listener),
      },
    };
  }

  /** Lets the client run a program. @throws ClientGone */
  private async runProgram(type: number, words: readonly string[]): Promise<number> {
    this.send(type, words.join('\0'));
    const status = await this.next(COMMAND.status);
    const code = status === null ? '' : status.payload.toString('latin1');
    if (!STATUS.test(code)) throw new ClientGone();
    return Number(code);
  }

  private send(type: number, payload: Uint8Array | string = ''): void {
    if (!this.gone) this.socket.write(encodeMessage(type, payload));
  }

  /** Returns the next message, which has to be of this type; null if the client has gone. */
  private async next(type: number): Promise<Message | null> {
    const message =
      this.arrived.shift() ??
      (this.gone
        ? null
        : await new Promise<Message | null>((resolve) => this.waiting.push(resolve)));
    if (message === null || message.type === type) return message;
    this.refuse();
    return null;
  }

  private leave(): void {
    this.gone = true;
    for (const resolve of this.waiting.splice(0)) resolve(null);
  }

  private take(chunk: Buffer): void {
    if (this.gone) return;
    try {
      for (const message of this.reader.take(chunk)) {
        if (message.type === COMMAND.signal) {
          const number = Number(message.payload.toString('latin1'));
          const isSignal = this.hasAsked && NUMBER.test(message.payload.toString('latin1'));
          if (!isSignal) throw new RangeError('no signal, or none that anything could get');
          for (const listener of this.signals) listener(number);
          continue;
        }
        this.hasAsked = true;
        const resolve = this.waiting.shift();
        if (resolve !== undefined) resolve(message);
        else if (this.arrived.push(message) > ARRIVED_MAX) throw new RangeError('unasked messages');
      }
    } catch {
      this.refuse();
    }
  }

  /** Hears no more of a client that does not keep to the protocol. */
  private refuse(): void {
    if (!this.gone) this.socket.end(encodeMessage(COMMAND.decline));
    this.leave();
  }
}

openForAll();
const [, , root = '', socket = ''] = process.argv;
const log = openLog({ program: 'runner', root });
// Under a name of its own until it listens: a runner that ends removes what it listened at, and another one may be there by then.
const own = path.join(path.dirname(socket), `r${process.pid}`);
rmSync(own, { force: true });
const server = createServer((peer) => {
  new Client(peer, root).serve().catch((error: unknown) => log.error({ err: error }, 'command'));
});
server.listen(own, () => {
  chmodSync(own, 0o600);
  renameSync(own, socket);
  printOwn('ready\n');
});
// The daemon holds the other end, however it ends. Commands that were begun are finished first.
process.stdin.on('end', () => server.close());
process.stdin.resume();
