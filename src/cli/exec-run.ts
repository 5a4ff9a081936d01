/** Runs a command in a running env, on our own input and output. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Command } from 'commander';
import { ByrefError } from '../base/error.ts';
import { shellStatus } from '../base/shell-status.ts';
import { INSIDE } from '../ipc/command-protocol.ts';
import { needPeoplesEnv } from '../manager/sandbox/owner.ts';
import {
  type ExecRequest,
  type PreparedCommand,
  type PreparedExec,
  prepareExec,
  statusOf,
} from '../services/exec-env.ts';
import type { Context } from './command.ts';
import { output } from './output.ts';
import { NeedsOwnProcess, withStore } from './session.ts';

/** The options of commands that run a program in an env. */
export interface ExecWords {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Adds -i, -t, -u, -w and -e to a command. */
export const execOptions = (command: Command): Command =>
  command
    .option('-i, --interactive', 'pass our input on; it always is, so this changes nothing')
    .option('-t, --tty', 'give it a terminal')
    .option('-u, --user <user>', 'as this user of the env: NAME or UID, with :GROUP or :GID (root)')
    .option('-w, --workdir <dir>', 'in this directory of the env')
    .option<Readonly<Record<string, string>>>(
      '-e, --env <name=value>',
      'a variable; may be repeated',
      addVariable,
    );

/** Adds NAME=VALUE to variables; NAME alone is ours. @throws ByrefError 'usage' */
export function addVariable(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)(?:=([\s\S]*))?$/.exec(text) ?? [];
  if (name === undefined) {
    throw new ByrefError('usage', `"${text}" is no variable`, 'Write NAME=VALUE.');
  }
  if (value === undefined && output().runProgram !== null) {
    throw new NeedsOwnProcess(`only the client knows its ${name}`);
  }
  return { ...before, [name]: value ?? process.env[name] ?? '' };
}

/** Signals that are passed on to the command. */
export const PASSED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Refuses -t where there is no terminal to pass on. @throws ByrefError 'usage' */
export function refuseNoTerminal(tty: boolean): void {
  if (!tty || output().inputIsTerminal) return;
  throw new ByrefError('usage', 'our input is no terminal', 'Leave -t out.');
}

/** Drops the `--` that may stand before a command. */
export const commandWords = (words: readonly string[]): readonly string[] =>
  words[0] === '--' ? words.slice(1) : words;

/** Runs words in an env. Returns the exit status that a shell would have. */
export async function runInEnv(
  context: Context,
  env: string,
  words: readonly string[],
  { user, workdir, env: environment, tty = false }: ExecWords,
): Promise<number> {
  refuseNoTerminal(tty);
  const request: ExecRequest = {
    words,
    terminal: tty ? output().term || 'xterm' : null,
    ...(user !== undefined && { user }),
    ...(workdir !== undefined && { cwd: workdir }),
    ...(environment !== undefined && { environment }),
  };
  // The store is closed while the command runs.
  const prepared = await withStore(context, 'read', (store) =>
    prepareExec(store, needPeoplesEnv(store, env), request),
  );
  const served = await runByServer(prepared);
  if (served !== null) return served;
  const command = prepared.prepareCommand();
  try {
    return await runCommand(command);
  } finally {
    command.dispose();
  }
}

/** Has the env's exec server run the program. Returns its exit status; null if it has to be run otherwise: nothing was done. */
async function runByServer({ inside, startServer }: PreparedExec): Promise<number | null> {
  const { runInside } = output();
  if (inside === null || runInside === null) return null;
  const status = await runInside(inside.socket, inside.request);
  if (status === INSIDE.notServed) startServer();
  return status < 0 ? null : status;
}

/** Runs a command on our input and output, and returns its exit status. */
async function runCommand({ command, failure }: PreparedCommand): Promise<number> {
  const code = await (output().runProgram ?? runHere)(command);
  // The runtime has said it on our error output.
  const said = code === 0 ? null : failure();
  return said === null ? code : statusOf(said);
}

async function runHere([program = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' });
  const release = passSignals(child);
  return new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve(shellStatus(status, signal)));
  }).finally(release);
}

/** Passes signals on that would end us: the command decides. Returns a function that ends that. */
export function passSignals(child: ChildProcess): () => void {
  const passing = PASSED.map((name) => {
    const pass = (): void => void child.kill(name);
    process.on(name, pass);
    return () => process.off(name, pass);
  });
  return () => {
    for (const end of passing) end();
  };
}
