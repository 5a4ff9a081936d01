import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { wordsOf } from '../manager/envs/settings.ts';
import { Wire } from './move-wire.ts';

/** How long the program that leads there may take to end, in milliseconds. */
const END_MS = 30_000;

/** How `byref receive` is run on another machine. */
export interface FarCommand {
  readonly host: string;
  /** A command that runs a command line on a host, as ssh does: quoted as for a shell. */
  readonly rsh: string;
  /** The command line of the other side. */
  readonly receiver: string;
}

/** `byref receive` on another machine, and the connection to it. */
export class FarSide {
  readonly wire: Wire;
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;

  /** @param hear hears each line that it, or what leads to it, says to people */
  constructor(
    { host, rsh, receiver }: FarCommand,
    { hear, signal }: { readonly hear: (line: string) => void; readonly signal: AbortSignal },
  ) {
    const [program = '', ...words] = wordsOf(rsh, '--rsh');
    // Not with us, when a terminal's group gets a signal: it is told by the end of the connection.
    const child = spawn(program, [...words, host, receiver], {
      ...{ stdio: ['pipe', 'pipe', 'pipe'], detached: true },
    });
    this.child = child;
    this.ended = once(child, 'close').catch(() => undefined);
    createInterface({ input: child.stderr }).on('line', hear);
    this.wire = new Wire(`the connection to ${host}`, child.stdout, child.stdin);
    signal.addEventListener('abort', () => child.stdin.destroy(), { once: true });
  }

  /** Ends the connection, and waits until the other side has undone what it made; not for one that is out of reach. */
  async close(): Promise<void> {
    this.wire.close();
    this.child.stdin!.destroy();
    this.child.stdout!.destroy();
    const timer = setTimeout(() => this.child.kill(), END_MS);
    await this.ended;
    clearTimeout(timer);
  }
}
