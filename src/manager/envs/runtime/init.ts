/** Chooses the first process of an env. */
import { accessSync, constants } from 'node:fs';
import { ByrefError } from '../../../base/error.ts';
import type { EnvSettings } from '../../../codec/env-settings.ts';
import { servicesProgram } from '../../../native/binding.ts';
import { INSIDE_PATH } from '../../confinement/run-inside.ts';
import { INIT_INSIDE, type InitProgram } from './oci-config.ts';
import { resolveInRoot } from './paths-inside.ts';

/**
 * The program that stands before a command, as the first process: it passes signals on, and takes note of the ends of
 * orphans. Debian: catatonit. Alone, it waits until it is told to end.
 */
const HELPER = '/usr/bin/catatonit';

const SEARCHED = INSIDE_PATH.split(':');
const ANY_EXECUTES = 0o111;

/** The places where systemd's own program is. */
const SYSTEMD = /^(?:\/usr)?\/lib\/systemd\/systemd$/;

/** What is set about the first process. */
type InitSettings = Pick<EnvSettings, 'init' | 'services'>;

/** Returns the first process for what is set. @throws ByrefError */
export function initProgram(mountpoint: string, { init, services }: InitSettings): InitProgram {
  const names = Object.keys(services).sort();
  if (names.length > 0) {
    if (init !== null) throw bothSet();
    return servicesInit(
      mountpoint,
      names.map((name) => [name, services[name] ?? []]),
    );
  }
  if (init === null && hasSystemd(mountpoint))
    return { args: ['/sbin/init'], isSystemd: true, helper: null };
  const isSystemd = init !== null && leadsToSystemd(mountpoint, init[0] ?? '');
  if (init !== null && isSystemd) return { args: init, isSystemd, helper: null };
  if (init !== null && !hasProgram(mountpoint, init[0] ?? '')) throw noProgram(init[0] ?? '');
  const words = init === null ? ['-P'] : ['--', ...init];
  return { args: [INIT_INSIDE, ...words], isSystemd: false, helper: helper() };
}

function servicesInit(
  mountpoint: string,
  services: readonly (readonly [name: string, words: readonly string[]])[],
): InitProgram {
  for (const [, [program = '']] of services)
    if (!hasProgram(mountpoint, program)) throw noProgram(program);
  const words = services.flatMap(([name, each]) => [name, String(each.length), ...each]);
  return { args: [INIT_INSIDE, ...words], isSystemd: false, helper: servicesProgram() };
}

function bothSet(): ByrefError {
  const message = 'the env has both services and an init of its own';
  return new ByrefError('usage', message, 'Take one back: byref set ENV init=');
}

/** Looks for a program as execvp(3) does. */
function hasProgram(mountpoint: string, name: string): boolean {
  if (name === '' || name.startsWith('-')) return false;
  const places = name.includes('/') ? [name] : SEARCHED.map((directory) => `${directory}/${name}`);
  return places.some((place) => {
    const stat = resolveInRoot(mountpoint, place)?.stat;
    return stat?.isFile() === true && (stat.mode & ANY_EXECUTES) !== 0;
  });
}

function noProgram(name: string): ByrefError {
  const message = `the env has no program "${name}"`;
  return new ByrefError('notFound', message, 'Name one by its path, or one that is in /usr/bin.');
}

const hasSystemd = (mountpoint: string): boolean => leadsToSystemd(mountpoint, '/sbin/init');

function leadsToSystemd(mountpoint: string, program: string): boolean {
  if (!program.startsWith('/')) return false;
  const found = resolveInRoot(mountpoint, program);
  return found?.stat.isFile() === true && SYSTEMD.test(found.inside);
}

function helper(): string {
  try {
    accessSync(HELPER, constants.X_OK);
    return HELPER;
  } catch (cause) {
    const message = `${HELPER} is missing, the first process of envs that run a command`;
    throw new ByrefError('unsupported', message, 'Install it: apt-get install catatonit.', {
      cause,
    });
  }
}
