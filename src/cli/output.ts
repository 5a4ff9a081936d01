/**
 * Where a command's output goes: to this process's own streams or, in a runner that serves many commands, to whoever sent the
 * command. Commands print by print.ts, and set their exit code, through this.
 */

/** A stream that a command prints to. */
export interface OutputStream {
  readonly isTTY: boolean;
  /** The width of its terminal; undefined if it has none. */
  readonly columns?: number | undefined;
  write(chunk: string | Uint8Array): unknown;
}

/** The surroundings of one command. */
export interface CommandOutput {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** True if its input is a terminal. */
  readonly inputIsTerminal: boolean;
  /** The kind of its terminal. */
  readonly term: string;
  setExitCode(code: number): void;
  /**
   * Runs a program of this machine on the command's input and output, with the signals that the command gets. Returns its exit
   * status as a shell would have it; null: it is this process that has to.
   */
  readonly runProgram: ((words: readonly string[]) => Promise<number>) | null;
  /**
   * Has the exec server of an env run a program on the command's input and output. @param socket the server's; @param request
   * exec-server.ts makes it. Returns the program's exit status, or one of INSIDE (command-protocol.ts); null: nobody here can do that
   */
  readonly runInside: ((socket: string, request: readonly string[]) => Promise<number>) | null;
  /** The process whose input and output an env may get; null: this one's. */
  readonly foreground: ForegroundProcess | null;
}

/** Another process, which runs programs on its own input and output. */
export interface ForegroundProcess {
  readonly pid: number;
  /** Runs a program; signals that the process gets are told to `onSignal`. Returns its exit status. @throws if the process goes */
  run(words: readonly string[]): Promise<number>;
  onSignal(listener: (signal: number) => void): void;
}

/** This process's own. */
const OWN: CommandOutput = {
  stdout: process.stdout,
  stderr: process.stderr,
  get inputIsTerminal() {
    return process.stdin.isTTY;
  },
  term: process.env['TERM'] ?? '',
  setExitCode(code) {
    process.exitCode = code;
  },
  runProgram: null,
  runInside: null,
  foreground: null,
};

let provide: () => CommandOutput = () => OWN;

/** Makes commands print to what the function returns at that moment; undefined stands for this process's own streams. */
export function provideOutput(current: () => CommandOutput | undefined): void {
  provide = () => current() ?? OWN;
}

/** Makes commands print to these streams as to a terminal, though they are files: a client shows what comes. */
export function showOnTerminals(streams: readonly string[]): void {
  const columns = Number(process.env['COLUMNS']) || undefined;
  const shown = (name: 'stdout' | 'stderr'): OutputStream =>
    streams.includes(name)
      ? { isTTY: true, columns, write: (chunk) => OWN[name].write(chunk) }
      : OWN[name];
  const own: CommandOutput = { ...OWN, stdout: shown('stdout'), stderr: shown('stderr') };
  provide = () => own;
}

/** Returns where the output of the command that asks goes. */
export const output = (): CommandOutput => provide();

/** Sets the exit code of the command. */
export const setExitCode = (code: number): void => output().setExitCode(code);
