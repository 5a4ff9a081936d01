/**
 * Asks a repository whether it has a suite, in the way this machine's apt would: with its proxies and
 * certificates.
 */
import path from 'node:path';
import { runConfined } from '../../confinement/confined.ts';
import { interrupted } from '../../sandbox/interrupted.ts';
import { aptFailure } from './apt-failure.ts';
import type { BootstrapParts } from './bootstrap.ts';
import type { HasSuite } from './sources.ts';

const HELPER = '/usr/lib/apt/apt-helper';
/**
 * Messages of servers, and of apt's methods for directories, for a missing file. A server that keeps its files
 * in a bucket answers 403 for files that it lacks.
 */
const MISSING = /\b(?:403|404|410)\s+[A-Z]|File not found|No such file or directory/;

/**
 * Returns a function that asks with apt's helper.
 * @param dir for what is fetched
 * @param what "debian-13 could not be built"
 */
export function asksApt(dir: string, what: string, parts: BootstrapParts): HasSuite {
  return async (address, suite) => {
    const file = path.join(dir, 'release');
    const url = `${address.replace(/\/+$/, '')}/dists/${suite}/InRelease`;
    const words = [HELPER, '--option=Acquire::Retries=1', 'download-file', url, file];
    const env = { ...process.env, LC_ALL: 'C' };
    const { code, said } = await runConfined(words, { ...parts, env, cwd: dir });
    if (parts.signal.aborted) throw interrupted(what);
    if (code === 0) return true;
    if (MISSING.test(said)) return false;
    throw aptFailure(said, what, '');
  };
}
