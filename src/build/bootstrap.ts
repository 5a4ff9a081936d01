/** Runs mmdebstrap, which makes a root file system of Debian packages, and says in a sentence why it could not. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { TEMPORARY_DIR } from '../base/temporary-dir.ts';
import { runConfined } from '../scratch/confined.ts';
import { interrupted } from '../scratch/interrupted.ts';
import { aptFailure } from './apt-failure.ts';
import { embeddedKey, sourcesFor, sourcesText } from './apt-sources.ts';
import type { BuildConfig } from './config.ts';
import { workplaceFile } from './workplace.ts';

/** Without it apt can't read a repository of this machine's own directories from inside the tree. */
const FILE_HOOKS = '/usr/share/mmdebstrap/hooks/file-mirror-automount';

export interface BootstrapParts {
  /** Hears each line that mmdebstrap prints. */
  readonly say: (line: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * @param dir an empty directory, for the tree while it is made, and for the archive
 * @returns the path of a tar in `dir`
 * @throws ByrefError 'badInput' for packages that are not there or do not fit; 'unreachable' for a repository that can't be
 *   reached, or breaks off; 'untrusted' for a signature; 'noSpace'; 'unsupported' without mmdebstrap
 */
export async function bootstrap(
  config: BuildConfig,
  dir: string,
  parts: BootstrapParts,
): Promise<string> {
  const archive = path.join(dir, 'root.tar');
  const sources = workplaceFile(dir, 'byref.sources', sourcesOf(config));
  // Its own files go below `dir`, too, so that nothing is left wherever it ends.
  const env = { ...process.env, LC_ALL: 'C', TMPDIR: dir };
  const words = ['mmdebstrap', ...args(config, archive, sources)];
  const { code, said } = await runConfined(words, { ...parts, env, cwd: dir });
  if (code === 0) return archive;
  const what = `${config.name} could not be built`;
  if (parts.signal.aborted) {
    throw interrupted(what);
  }
  if (/mmdebstrap: not found/.test(said)) {
    const message = 'mmdebstrap is needed to build an OS template';
    throw new ByrefError('unsupported', message, 'Install it: apt-get install mmdebstrap.');
  }
  throw aptFailure(said, what, `in ${TEMPORARY_DIR}`);
}

function args(config: BuildConfig, archive: string, sources: string): string[] {
  const { variant, architecture, packages, hooks, suite } = config;
  return [
    '--format=tar',
    `--variant=${variant}`,
    ...(architecture === null ? [] : [`--architectures=${architecture}`]),
    ...(packages.length === 0 ? [] : [`--include=${packages.join(',')}`]),
    ...(/^file:/.test(config.repository ?? '') ? [`--hook-dir=${FILE_HOOKS}`] : []),
    ...hooks.map((hook) => `--customize-hook=${hook}`),
    suite,
    archive,
    sources,
  ];
}

/** The repository that a configuration names; null if it names none. */
export function ownSource({ suite, components, repository, keyring }: BuildConfig) {
  if (repository === null) return null;
  // The key itself: its path would mean nothing in the tree, where apt is to trust the repository, too.
  const signedBy = keyring === null ? '' : embeddedKey(readKeyring(keyring));
  const parts = { architectures: [], others: new Map<string, string>() };
  return { uris: [repository], suites: [suite], components, signedBy, ...parts };
}

function sourcesOf(config: BuildConfig): string {
  const own = ownSource(config);
  return sourcesText(own === null ? sourcesFor(config) : [own]);
}

function readKeyring(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const message = `keyring: ${file} can't be read: ${(cause as Error).message}`;
    throw new ByrefError('badInput', message, 'Name the public key of the repository.', { cause });
  }
}
