/** Prepares programs to be run in running envs. The caller runs them, on its own input and output. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import {
  execServerSocket,
  serverRequest,
  startExecServer,
} from '../manager/envs/runtime/exec-server.ts';
import { asList, baseEnvironment } from '../manager/envs/runtime/oci-config.ts';
import type { OciProcess, OciSpec } from '../manager/envs/runtime/oci-spec.ts';
import { execCommand } from '../manager/envs/runtime/runtime-program.ts';
import { userInside } from '../manager/envs/runtime/users-inside.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning, refuseFrozen } from './start-env.ts';

/** A program to run in an env. */
export interface ExecRequest {
  readonly words: readonly string[];
  /** USER, UID, or either with :GROUP; root if it is not given. */
  readonly user?: string;
  /** The directory in which it begins; the root's if it is not given. */
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** The kind of the terminal of its own that it gets, which the caller's is connected to, as xterm; null: it gets none. */
  readonly terminal: string | null;
}

/** A program that is ready to be run in an env, in one of two ways. */
export interface PreparedExec {
  /** What the exec server of the env is asked, for a program without a terminal: native/exec-server.c. null: it has one */
  readonly inside: { readonly socket: string; readonly request: readonly string[] } | null;
  /** Has the exec server started, for the programs that come next. */
  readonly startServer: () => void;
  /** Prepares a command of this machine that runs the program. */
  readonly prepareCommand: () => PreparedCommand;
}

/** A command of this machine that runs a program in an env. */
export interface PreparedCommand {
  readonly command: readonly string[];
  /** Returns what the runtime said if it could not start the program; null if it could. */
  readonly failure: () => string | null;
  /** Removes the files that it was prepared with. */
  readonly dispose: () => void;
}

/** Exit statuses of shells for a program that can't be run. */
export const NOT_FOUND = 127;
export const NOT_RUN = 126;

/** Prepares a program. @throws ByrefError 'usage' if the env does not run, 'busy' if it is frozen, 'notFound' for an unknown user */
export function prepareExec(store: Store, row: EnvRow, request: ExecRequest): PreparedExec {
  const first = needRunning(store.root, row);
  refuseFrozen(store.root, row);
  const bundle = new BundleDir(store.root, row.id);
  const { process } = JSON.parse(bundle.read('config.json')) as OciSpec;
  // Its root as its own processes see it, whatever is mounted there.
  const program = processOf(`/proc/${first}/root`, process, request);
  return {
    inside: program.terminal
      ? null
      : { socket: execServerSocket(bundle), request: serverRequest(program) },
    startServer: () => startExecServer(bundle, process),
    prepareCommand: () => prepareCommand(bundle, program),
  };
}

function prepareCommand(bundle: BundleDir, program: OciProcess): PreparedCommand {
  const stem = `exec-${randomBytes(8).toString('hex')}`;
  const file = path.join(bundle.path, `${stem}.json`);
  const log = path.join(bundle.path, `${stem}.log`);
  bundle.write(path.basename(file), JSON.stringify(program));
  return {
    command: execCommand(bundle, file, log),
    failure: () => bundle.complaint(path.basename(log)) || null,
    dispose: () => {
      for (const each of [file, log]) rmSync(each, { force: true });
    },
  };
}

function processOf(at: string, first: OciProcess, request: ExecRequest): OciProcess {
  const { words, user, cwd, environment = {}, terminal } = request;
  const { uid, gid, additionalGids, home } = userInside(at, user ?? '0');
  const term = terminal === null ? {} : { TERM: terminal };
  const own = Object.fromEntries(first.env.map((each) => splitAt(each, each.indexOf('='))));
  const variables = { ...own, ...baseEnvironment(home), ...term, ...environment };
  return {
    terminal: terminal !== null,
    user: { uid, gid, additionalGids },
    args: words,
    env: asList(variables),
    cwd: cwd ?? (request.user === undefined ? '/' : home),
    capabilities:
      uid === 0
        ? first.capabilities
        : { bounding: first.capabilities.bounding, effective: [], permitted: [] },
    noNewPrivileges: first.noNewPrivileges,
  };
}

const splitAt = (text: string, at: number): [string, string] => [
  text.slice(0, at),
  text.slice(at + 1),
];

/** Returns the exit status that a shell would have for a program that could not be started. */
export const statusOf = (failure: string): number =>
  /executable file not found|no such file or directory/.test(failure) ? NOT_FOUND : NOT_RUN;
