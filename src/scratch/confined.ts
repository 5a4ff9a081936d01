import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

export interface ConfinedParts {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Hears each line that is printed. */
  readonly say: (line: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Without any network but its own loopback interface. */
  readonly offline?: boolean;
  /** The mountpoint of an env that it works in. */
  readonly keep?: string;
}

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
 * The first process in there, with which all others end. Not the program itself: one that changes its user, as apt does
 * for a moment, is no longer sent the signal when unshare dies (prctl(2), PR_SET_PDEATHSIG). `exit` keeps the shell.
 *
 * Its namespace begins with all mounts of the machine: other envs could not be unmounted while it runs. $1 stays.
 */
const INIT = `
keep=$1; shift
while read -r source dir type rest; do
  case $type in fuse.byref) [ "$dir" = "$keep" ] || umount -l "$(printf '%b' "$dir")" ;; esac
done </proc/self/mounts
"$@"
exit $?
`;

/** Runs a program, and waits for it and all that it leaves behind. What it prints is taken together, in its order. */
export async function runConfined(
  words: readonly string[],
  { env, cwd, say, signal, offline = false, keep = '' }: ConfinedParts,
): Promise<Finished> {
  const [command = '', ...args] = [
    ...CONFINED,
    ...(offline ? ['--net'] : []),
    ...['sh', '-c', INIT, 'sh', keep, ...words],
  ];
  const child = spawn(command, args, {
    env,
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  let said = '';
  let rest = '';
  const hear = (text: string): void => {
    said = (said + text).slice(-SAID_MAX);
    const lines = (rest + text).split(/[\r\n]/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') say(line);
  };
  for (const stream of [child.stdout, child.stderr]) {
    const decoder = new StringDecoder('utf8');
    stream.on('data', (bytes: Buffer) => hear(decoder.write(bytes)));
  }
  // 'close' comes after it, too, when nothing of the child is left.
  child.on('error', (cause) => {
    said += String(cause);
  });
  return { code: await closed, said };
}
