/**
 * The policy `complete`: apt, run in an env, brings the env's own packages to versions that fit the templates'. All that
 * can fail is tried first, while the templates' packages that do not fit are still kept as they were: apt solves the
 * change on the records as they will be, and downloads what it needs. Then the kept packages follow, and apt installs
 * what it has downloaded.
 */

import { replaceInRoot, writeInRoot } from '../../base/in-root.ts';
import { prepared } from '../confinement/inside.ts';
import { runInside } from '../confinement/run-inside.ts';
import type { PackageRecord } from '../merge/packages.ts';

/** The result of a trial: the changes that apt will make, as "libx-dev 1 -> 2"; or, in a sentence, why it can't. */
export type Trial = { readonly packages: readonly string[] } | { readonly why: string };

/** The problem that apt is to solve in one env. */
export interface Completion {
  /** All packages of the env, as they will be. */
  readonly after: readonly PackageRecord[];
  /** Names of the packages that belong to the templates; apt must leave them as they are. */
  readonly ofTemplates: ReadonlySet<string>;
  /** Versions of packages that apt is to go back to, as "libx-dev=1". */
  readonly wanted: readonly string[];
}

const TRIAL_LIMIT_MS = 300_000;
const INSTALL_LIMIT_MS = 1_800_000;
const OUTPUT_KEPT = 2 ** 20;

/** The dpkg status file that apt reads during the trial; a path below the env's root. */
const statusFile = (): string => `/tmp/byref-status.${process.pid}`;

/** The command for apt: it asks nothing, removes nothing, and keeps configuration that an administrator has changed. */
const APT = [
  'apt-get --quiet --yes --fix-broken --no-remove',
  '-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold',
  '-o Dpkg::Use-Pty=0 -o APT::Get::AutomaticRemove=false',
  // Downgrades only to versions that are named.
  '--allow-downgrades',
].join(' ');

/** A failed update is no error: the lists that are there may do. */
const TRY = `
apt-get --quiet -o Acquire::Retries=0 -o Acquire::http::Timeout=20 update >/dev/null 2>&1
file=$1; shift
${APT} -o Dir::State::status="$file" --simulate install "$@" && ${APT} -o Dir::State::status="$file" --download-only install "$@"`;

const INSTALL = `${APT} --no-download install "$@"`;

/**
 * Tries what apt would do, and downloads what it needs. Changes no package.
 * @param mountpoint of the env, in which packages of the templates are kept as they were
 */
export async function tryCompletion(
  mountpoint: string,
  { after, ofTemplates, wanted }: Completion,
): Promise<Trial> {
  const file = statusFile();
  const text = after.map(({ stanza }) => `${stanza}\n\n`).join('');
  try {
    writeInRoot(mountpoint, file, text);
    const words = ['/bin/sh', '-c', TRY, 'sh', file, ...wanted];
    const limits = { outputKept: OUTPUT_KEPT, timeoutMs: TRIAL_LIMIT_MS };
    const { code, output } = await runInside(mountpoint, words, limits);
    if (code !== 0) return { why: saidBy(output) };
    const changes = parseInstalls(output);
    const other = changes.find(({ name }) => ofTemplates.has(name));
    if (other !== undefined)
      return { why: `apt would install ${other.text} in place of the template’s` };
    return { packages: changes.map(({ text: each }) => each) };
  } catch (cause) {
    return { why: (cause as Error).message };
  } finally {
    remove(mountpoint, file);
  }
}

function remove(mountpoint: string, file: string): void {
  try {
    replaceInRoot(mountpoint, file);
  } catch {
    // The env has put something else where the directory was.
  }
}

/**
 * Installs what was tried. Null, or why it could not be done.
 * @param mountpoint of the env, which has the templates' packages by now
 * @param wanted the same versions as at the trial
 */
export async function complete(
  mountpoint: string,
  wanted: readonly string[],
): Promise<string | null> {
  try {
    const words = ['/bin/sh', '-c', INSTALL, 'sh', ...wanted];
    const { code, output } = await prepared(mountpoint, [], () =>
      runInside(mountpoint, words, { timeoutMs: INSTALL_LIMIT_MS }),
    );
    return code === 0 ? null : saidBy(output);
  } catch (cause) {
    return (cause as Error).message;
  }
}

/** Reads apt's simulation, whose lines look like "Inst libx-dev [1] (2 Debian:stable [all])". */
function parseInstalls(output: string): { name: string; text: string }[] {
  return [...output.matchAll(/^Inst (\S+) (?:\[(\S+)\] )?\((\S+) /gm)].map(
    ([, name = '', was, is = '']) => {
      const text = was === undefined ? `${name} ${is}` : `${name} ${was} -> ${is}`;
      return { name: name.replace(/:.*$/, ''), text };
    },
  );
}

const LINES_SHOWN = 3;

function saidBy(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /^(?:E|dpkg): /.test(line));
  return (
    (errors.length > 0 ? errors : lines).slice(-LINES_SHOWN).join(' ') || 'apt could not be run'
  );
}
