import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import { type Finished, refreshBundle, TIMEOUT_MS, TREE } from './program.ts';

/** What that process says of a command. */
interface Answer extends Finished {
  /** True if it ends with this one. */
  readonly isLast: boolean;
}

const SERVER = path.join(import.meta.dirname, 'command-server.cjs');
/** Verbs that stay in the foreground, or give their own input and output to other programs. */
const OWN_PROCESS: ReadonlySet<string> = new Set([
  ...['console', 'daemon', 'enter', 'events', 'exec', 'logs', 'operation', 'run', 'shell', 'top'],
  ...['attach'],
]);

let server: ChildProcess | null = null;
let isBusy = false;

/**
 * Runs a command of byref in the process that this file of tests has for its commands.
 * @param timeout milliseconds until that process is killed; the code is then -1
 * @returns null, and does nothing, if it has to be a process of its own: one that is to die or that has the terminal, and
 *   each of those at the same time but the first
 */
export async function serveCommand(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  timeout = TIMEOUT_MS,
): Promise<Finished | null> {
  const isOwn = OWN_PROCESS.has(words[0] ?? '') || env['BYREF_FAILPOINT'] !== undefined;
  if (isBusy || isOwn) return null;
  refreshBundle();
  isBusy = true;
  server ??= start();
  const child = server;
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  try {
    child.ref();
    child.channel?.ref();
    const answer = await answerOf(child, { words, env, cwd: TREE });
    const { code, stdout, stderr } = answer ?? { code: -1, stdout: '', stderr: '' };
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
    isBusy = false;
    child.unref();
    child.channel?.unref();
  }
}

/** Returns what a server says of a command; null if it ends without a word. Waits for its end if the command was its last. */
function answerOf(child: ChildProcess, command: object): Promise<Answer | null> {
  return new Promise((resolve) => {
    let answer: Answer | null = null;
    const hear = (said: unknown): void => {
      answer = said as Answer;
      if (!answer.isLast) done();
    };
    const done = (): void => {
      child.off('message', hear).off('exit', ended).off('disconnect', ended);
      resolve(answer);
    };
    // What it sent may be read only after its end.
    const ended = (): void => {
      const isGone = child.exitCode !== null || child.signalCode !== null;
      if (isGone && !child.connected) done();
    };
    child.on('message', hear).on('exit', ended).on('disconnect', ended);
    child.send(command);
  });
}

function start(): ChildProcess {
  const child = fork(SERVER, [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [],
    serialization: 'advanced',
  });
  child.once('exit', () => {
    if (server === child) server = null;
  });
  return child;
}
