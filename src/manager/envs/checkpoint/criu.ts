/** The program that puts processes into files, and makes them of those again: CRIU, which the OCI runtime runs. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { findProgram } from '../runtime/runtime-program.ts';

const STANDARD = 'criu';

/** Returns the path of CRIU. @throws ByrefError 'unsupported' if it is not installed */
export function criuProgram(): string {
  const wanted = process.env['BYREF_CRIU'] ?? STANDARD;
  const found = findProgram(wanted);
  if (found !== null) return found;
  const message = `${wanted} is not installed, which puts processes into files`;
  const hint = 'Install CRIU 4.2 or newer (Debian: apt-get install criu). Then see byref doctor.';
  throw new ByrefError('unsupported', message, hint);
}

/** What is set for all that CRIU does for us: we lock the network ourselves, for longer than it would. */
export const CRIU_CONFIG = `network-lock skip
ghost-limit 1073741824
`;

/** Returns the environment in which the runtime finds CRIU. @param config a file with CRIU_CONFIG */
export function criuEnvironment(config: string): NodeJS.ProcessEnv {
  const directory = path.dirname(criuProgram());
  const search = [directory, process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'].join(':');
  return { ...process.env, PATH: search, CRIU_CONFIG_FILE: config };
}

/** Errors that CRIU goes on after. */
const HARMLESS = /RLIMIT_NOFILE|cgroupd: recv req/;

/** Returns what a log of CRIU says that it failed at, in one line; '' if it says nothing. */
export function criuComplaint(log: string): string {
  let text = '';
  try {
    text = readFileSync(log, 'utf8');
  } catch {
    // It did not come so far.
  }
  const errors = text
    .split('\n')
    .map((line) => /Error \([^)]*\): (.*)$/.exec(line)?.[1] ?? '')
    .filter((line) => line !== '' && !HARMLESS.test(line));
  return errors[0] ?? '';
}
