import type { Duplex } from 'node:stream';

/** What a monitor tells while it starts an env, line by line: native/monitor.c. */
export class MonitorReport {
  private readonly socket: Duplex;
  private readonly lines: AsyncGenerator<string, string>;

  /** @param socket the other end of the monitor's descriptor 3 */
  constructor(socket: Duplex) {
    this.socket = socket;
    // What ends the monitor ends the socket, in whichever way.
    socket.on('error', () => undefined);
    this.lines = linesOf(socket);
  }

  /** Waits for the next line; at the end, returns what follows the last one, or ''. */
  async line(): Promise<string> {
    return (await this.lines.next()).value;
  }

  /** Tells the monitor to go on. */
  goOn(): void {
    this.socket.write('\n');
  }

  /** Lets go of the monitor. One that waits gives up. */
  end(): void {
    this.socket.destroy();
  }
}

async function* linesOf(socket: Duplex): AsyncGenerator<string, string> {
  let rest = '';
  try {
    for await (const bytes of socket) {
      const lines = (rest + (bytes as Buffer).toString()).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // It was destroyed.
  }
  return rest;
}
