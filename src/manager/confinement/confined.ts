/** Runs programs in namespaces of their own. Spawns them itself: what they say is passed on while they run. */
import { type StdioOptions, spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

/** The surroundings of a confined program. */
export interface ConfinedPlace {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Kills it when aborted. */
  readonly signal: AbortSignal;
  /** Gives it no network but its own loopback interface. */
  readonly offline?: boolean;
  /** The mountpoint of the env that it works in; mounts of other envs are let go of. */
  readonly keep?: string;
  /** Called when something is written to descriptor BEGUN_FD; without this, the program does not get that descriptor. */
  readonly begun?: () => void;
}

/** A ConfinedPlace, and who hears what the program says. */
export interface ConfinedParts extends ConfinedPlace {
  /** Called with each line that it prints. */
  readonly say: (line: string) => void;
  /** Called with each line that it writes to descriptor STATUS_FD; without this, it does not get that descriptor. */
  readonly status?: (line: string) => void;
}

/** The descriptor on which a program reports its status. */
export const STATUS_FD = 3;

/** The descriptor on which a script says that the program proper begins: what fails before is the script. */
export const BEGUN_FD = 4;

/** How a confined program ended. */
export interface Finished {
  /** Its exit status; null: it was killed. */
  readonly code: number | null;
  /** The last of what it printed, for messages. */
  readonly said: string;
}

const SAID_MAX = 65_536;

/**
 * The command that runs a program in namespaces of its own. When the program ends for any reason, also because we are
 * killed, none of its mounts and processes is left. A mount that stayed would lead into the machine, from a directory that
 * is then removed.
 */
const CONFINED = [
  ...['setpriv', '--pdeathsig=KILL'],
  ...['unshare', '--mount', '--propagation=slave', '--pid', '--fork', '--kill-child'],
  ...['--uts', '--ipc'],
];

/**
 * A script for sh, in a mount namespace of its own, which begins with all mounts of the machine: it lets go of the mounts of
 * all envs but "$keep". While the namespace lasts, these envs could not be unmounted otherwise. A mount that has ended since
 * it was listed is no error.
 */
export const LET_GO = `
while read -r source dir type rest; do
  [ "$type" = fuse.byref ] || continue
  dir=$(printf "%b" "$dir")
  [ "$dir" = "\${keep-}" ] || printf "%s\\0" "$dir"
done </proc/self/mounts | xargs -0 -r umount -l 2>/dev/null
`;

/**
 * The first process in the PID namespace, with which all others end. It is not the program itself, because one that changes
 * its user, as apt does for a moment, is no longer sent the signal when unshare dies (prctl(2), PR_SET_PDEATHSIG). `exit`
 * keeps the shell from being replaced. The mount on $1 stays.
 */
const INIT = `
keep=$1; shift
${LET_GO}
"$@"
exit $?
`;

/** Returns the command and arguments that run a program confined. */
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
 * Runs a program confined on our own standard input and error, so that it may ask questions. Waits as runConfined() does.
 * @param stdout our descriptor that becomes its standard output
 * @returns its exit status; null: it was killed
 */
export async function runOnTerminal(
  words: readonly string[],
  place: ConfinedPlace,
  stdout: 1 | 2,
): Promise<number | null> {
  const { env, cwd, signal, begun } = place;
  const [command, args] = confined(words, place);
  const stdio: StdioOptions = ['inherit', stdout, 'inherit', 'ignore', pipeIf(begun)];
  const child = spawn(command, args, { env, cwd, stdio, signal, killSignal: 'SIGKILL' });
  child.stdio[BEGUN_FD]?.on('data', () => begun?.());
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  child.on('error', () => undefined);
  return closed;
}

const pipeIf = (reader: unknown): 'pipe' | 'ignore' => (reader === undefined ? 'ignore' : 'pipe');

/** Returns a function that takes text in pieces, and passes it on in lines. */
function eachLine(say: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split(/[\r\n]/);
    // Text without an end of line is no line yet.
    rest = (lines.pop() ?? '').slice(-SAID_MAX);
    for (const line of lines) if (line.trim() !== '') say(line);
  };
}

/** Runs a program confined, and waits for it and for all that it leaves running. Its two outputs are taken together, in order. */
export async function runConfined(
  words: readonly string[],
  parts: ConfinedParts,
): Promise<Finished> {
  const { env, cwd, say, status, signal, begun } = parts;
  const [command, args] = confined(words, parts);
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', pipeIf(status), pipeIf(begun)];
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
  child.stdio[BEGUN_FD]?.on('data', () => begun?.());
  if (status !== undefined) {
    const statusLines = eachLine(status);
    child.stdio[STATUS_FD]?.on('data', (bytes: Buffer) => statusLines(bytes.toString('latin1')));
  }
  // 'close' follows 'error' too, when nothing of the child is left.
  child.on('error', (cause) => {
    said += String(cause);
  });
  return { code: await closed, said };
}
