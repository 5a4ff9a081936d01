/** Calls the OCI runtime: runc, or what BYREF_RUNTIME names. */
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { runProgram } from '../../../base/run-program.ts';
import type { BundleDir } from './bundle-dir.ts';

const STANDARD = 'runc';
const OUTPUT_MAX = 65_536;

/** Returns the path of the runtime. @throws ByrefError 'unsupported' if it is not installed */
export function runtimeProgram(): string {
  const wanted = process.env['BYREF_RUNTIME'] ?? STANDARD;
  const found = findProgram(wanted);
  if (found !== null) return found;
  const message = `${wanted} is not installed, and it is what runs envs`;
  throw new ByrefError('unsupported', message, 'Install it: apt-get install runc.');
}

/** Returns the path of a program of the machine, by its name or its path; null if it is not installed. */
export function findProgram(wanted: string): string | null {
  const directories = [
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/sbin',
    '/bin',
  ];
  const places = wanted.includes('/') ? [wanted] : directories.map((at) => path.join(at, wanted));
  return places.find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Ends all processes of an env, and has the runtime forget it; the monitor may have done so. */
export async function deleteEnv(bundle: BundleDir): Promise<void> {
  if (!existsSync(path.join(bundle.runtimeState, bundle.name))) return;
  await call(bundle, ['delete', '--force', bundle.name]);
}

/** Changes the limits of a running env. @throws ByrefError 'unsupported' with what the runtime says */
export async function updateEnv(bundle: BundleDir, resources: object): Promise<void> {
  bundle.write('resources.json', JSON.stringify(resources));
  const file = path.join(bundle.path, 'resources.json');
  const { code, said } = await call(bundle, ['update', '--resources', file, bundle.name]);
  if (code === 0) return;
  const hint = 'It is kept, and tried again when the env is started.';
  throw new ByrefError(
    'unsupported',
    `the limits of the running env can't be changed: ${said}`,
    hint,
  );
}

/** Returns the command that runs a program in an env. @param file describes the program: an OciProcess, as JSON */
export function execCommand(bundle: BundleDir, file: string, log: string): string[] {
  const program = runtimeProgram();
  // An env stands still for a moment when it is cloned: what is begun meanwhile waits for the end of that.
  const waits = path.basename(program) === STANDARD ? ['--ignore-paused'] : [];
  return [
    program,
    ...['--root', bundle.runtimeState, '--log', log, '--log-format', 'json'],
    ...['exec', ...waits, '--process', file, bundle.name],
  ];
}

async function call(
  bundle: BundleDir,
  words: readonly string[],
): Promise<{ code: number | null; said: string }> {
  const { code, stderr } = await runProgram(
    [runtimeProgram(), '--root', bundle.runtimeState, ...words],
    { outputMax: OUTPUT_MAX, ofMore: 'end' },
  );
  return { code, said: stderr.toString().trim() };
}
