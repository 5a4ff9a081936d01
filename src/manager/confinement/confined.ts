import { type StdioOptions, spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

export interface ConfinedPlace {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Without any network but its own loopback interface. */
  readonly offline?: boolean;
  /** The mountpoint of an env that it works in. */
  readonly keep?: string;
}

export interface ConfinedParts extends ConfinedPlace {
  /** Hears each line that is printed. */
  readonly say: (line: string) => void;
  /** Hears each line that is written to descriptor STATUS_FD, which only then is there. */
  readonly status?: (line: string) => void;
}

export const STATUS_FD = 3;

export interface Finished {
  /** Null: it was killed. */
  readonly code: number | null;
  /** The end of what it printed, for messages. */
  readonly said: string;
}

const SAID_MAX = 65_536;

/**
 * In namespaces of its own: whatever ends it, no mount of its is left, and no process; also when we are killed. A mount
 * that stayed would be a way from the directory that is removed then into the machine.
 */
const CONFINED = [
  ...['setpriv', '--pdeathsig=KILL'],
  ...['unshare', '--mount', '--propagation=slave', '--pid', '--fork', '--kill-child'],
  ...['--uts', '--ipc'],
];

/**
 * For sh, in a mount namespace of its own, which begins with all mounts of the machine: lets go of all envs' but "$keep". They could
 * not be unmounted while it lasts.
 */
export const LET_GO = `
while read -r source dir type rest; do
  [ "$type" = fuse.byref ] || continue
  dir=$(printf "%b" "$dir")
  [ "$dir" = "\${keep-}" ] || printf "%s\\0" "$dir"
done </proc/self/mounts | xargs -0 -r umount -l
`;

/**
 * The first process in there, with which all others end. Not the program itself: one that changes its user, as apt does
 * for a moment, is no longer sent the signal when unshare dies (prctl(2), PR_SET_PDEATHSIG). `exit` keeps the shell.
 * The mount on $1 stays.
 */
const INIT = `
keep=$1; shift
${LET_GO}
"$@"
exit $?
`;

/** A program and its arguments, so that it runs like that. */
function confined(
  words: readonly string[],
  { offline = false, keep = '' }: ConfinedPlace,
): [string, string[]] {
  const [command = '', ...args] = [
    ...CONFINED,
    ...(offline ? ['--net'] : []),
    ...['sh', '-c', INIT, 'sh', keep, ...words],
  ];
  return [command, args];
}

/**
 * Runs a program on our own standard input and error, so that it may ask questions; waits likewise.
 * @param stdout the descriptor of ours that its standard output is
 * @returns its exit status; null: it was killed
 */
export async function runOnTerminal(
  words: readonly string[],
  place: ConfinedPlace,
  stdout: 1 | 2,
): Promise<number | null> {
  const { env, cwd, signal } = place;
  const [command, args] = confined(words, place);
  const stdio = ['inherit', stdout, 'inherit'] as const;
  const child = spawn(command, args, {
    env,
    cwd,
    stdio: [...stdio],
    signal,
    killSignal: 'SIGKILL',
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  child.on('error', () => undefined);
  return closed;
}

/** Hears text in pieces, and says it in lines. */
function eachLine(say: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split(/[\r\n]/);
    // What has no end is no line.
    rest = (lines.pop() ?? '').slice(-SAID_MAX);
    for (const line of lines) if (line.trim() !== '') say(line);
  };
}

/** Runs a program, and waits for it and all that it leaves behind. What it prints is taken together, in its order. */
export async function runConfined(
  words: readonly string[],
  parts: ConfinedParts,
): Promise<Finished> {
  const { env, cwd, say, status, signal } = parts;
  const [command, args] = confined(words, parts);
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', status === undefined ? 'ignore' : 'pipe'];
  const child = spawn(command, args, { env, cwd, stdio, signal, killSignal: 'SIGKILL' });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  let said = '';
  const lines = eachLine(say);
  for (const stream of [child.stdout, child.stderr]) {
    const decoder = new StringDecoder('utf8');
    stream?.on('data', (bytes: Buffer) => {
      const text = decoder.write(bytes);
      said = (said + text).slice(-SAID_MAX);
      lines(text);
    });
  }
  if (status !== undefined) {
    const statusLines = eachLine(status);
    child.stdio[STATUS_FD]?.on('data', (bytes: Buffer) => statusLines(bytes.toString('latin1')));
  }
  // 'close' comes after it, too, when nothing of the child is left.
  child.on('error', (cause) => {
    said += String(cause);
  });
  return { code: await closed, said };
}
