/** Runs the command whose changes are captured. */
import { ByrefError } from '../../../base/error.ts';
import { prepared, type ReadOnlyBind, runInsideOnTerminal } from '../../confinement/inside.ts';
import { ownProxies, ownVariables } from '../../sandbox/given.ts';
import { interrupted } from '../../sandbox/interrupted.ts';
import { withMountpoints } from '../../sandbox/mountpoints.ts';

/** The command whose changes are captured, and its surroundings. */
export interface Installer {
  readonly command: readonly string[];
  /** The directory in which it starts. */
  readonly workdir: string;
  readonly binds: readonly ReadOnlyBind[];
  /** Variables beside those that every installer gets. */
  readonly env: Readonly<Record<string, string>>;
  readonly offline: boolean;
  /** Accept any exit status. */
  readonly ignoreStatus: boolean;
  /** The descriptor of ours that becomes its standard output. */
  readonly stdout: 1 | 2;
}

/** Seconds since the epoch, as src/manager/recipes/build/rules.ts gives generated files: the same in each run. */
const EPOCH = String(Date.UTC(1990, 0, 1) / 1000);

/** $1 is the directory to start in; the rest is run. */
const BEGIN = 'umask 022; cd -- "$1" || exit; shift; exec "$@"';

/** A shell's exit status for a command that does not exist. */
const NOT_FOUND = 127;

/** Runs the command. @throws ByrefError 'error' if it fails, or was interrupted */
export async function runInstaller(
  root: string,
  name: string,
  installer: Installer,
  signal: AbortSignal,
): Promise<void> {
  const { command, workdir, binds, offline, ignoreStatus, stdout } = installer;
  const words = ['sh', '-c', BEGIN, 'sh', workdir, ...command];
  const env = { ...ownEnvironment(), ...installer.env };
  const status = await withMountpoints(root, binds, () =>
    prepared(root, [], () =>
      runInsideOnTerminal(root, words, { env, readOnly: binds, offline, signal }, stdout),
    ),
  );
  const what = `${name} was not captured`;
  if (signal.aborted) throw interrupted(`${name} was not captured`);
  if (status === 0 || ignoreStatus) return;
  const [program = ''] = command;
  const how = status === null ? 'was killed' : `ended with status ${status}`;
  const why = status === NOT_FOUND ? ', so it, or what it calls, may not be in the base' : '';
  throw new ByrefError(
    'error',
    `${what}: ${program} ${how}${why}`,
    'Nothing of it is left. If that is as it should be, add --ignore-status.',
  );
}

function ownEnvironment(): Record<string, string> {
  return {
    USER: 'root',
    LOGNAME: 'root',
    SHELL: '/bin/sh',
    ...ownProxies(),
    ...ownVariables('TERM'),
    ...(process.stdin.isTTY ? {} : { DEBIAN_FRONTEND: 'noninteractive' }),
    // Compiled Python says by this of its source not when it was written, which is not kept, but what was in it.
    SOURCE_DATE_EPOCH: EPOCH,
    PYTHONDONTWRITEBYTECODE: '1',
  };
}
