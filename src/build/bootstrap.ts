/** Runs mmdebstrap, which makes a root file system of Debian packages, and says in a sentence why it could not. */
import { type ChildProcessByStdio, type StdioOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { ByrefError } from '../base/error.ts';
import { aptFailure } from './apt-failure.ts';
import { embeddedKey, sourcesFor, sourcesText } from './apt-sources.ts';
import type { BuildConfig } from './config.ts';
import { workplaceFile } from './workplace.ts';

/** The end of what it said, for messages. */
const SAID_MAX = 16_384;
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
  const { code, said } = await run(['mmdebstrap', ...args(config, archive, sources)], dir, parts);
  if (code === 0) return archive;
  const what = `${config.name} could not be built`;
  if (parts.signal.aborted) {
    throw new ByrefError('error', `${what}: it was interrupted`, 'Nothing of it is left.');
  }
  if (/failed to execute mmdebstrap/.test(said)) {
    const message = 'mmdebstrap is needed to build an OS template';
    throw new ByrefError('unsupported', message, 'Install it: apt-get install mmdebstrap.');
  }
  throw aptFailure(said, what);
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

function sourcesOf(config: BuildConfig): string {
  const { suite, components, repository, keyring } = config;
  if (repository !== null) {
    // The key itself: its path would mean nothing in the tree, where apt is to trust the repository, too.
    const signedBy = keyring === null ? '' : embeddedKey(readKeyring(keyring));
    const parts = { architectures: [], others: new Map<string, string>() };
    return sourcesText([{ uris: [repository], suites: [suite], components, signedBy, ...parts }]);
  }
  return sourcesText(sourcesFor(config));
}

function readKeyring(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const message = `keyring: ${file} can't be read: ${(cause as Error).message}`;
    throw new ByrefError('badInput', message, 'Name the public key of the repository.', { cause });
  }
}

/**
 * In namespaces of its own: whatever ends it, no mount of its is left, and no process; also when we are killed. A mount
 * that stayed would be a way from the directory that is removed then into the machine.
 */
const CONFINED = [
  ...['setpriv', '--pdeathsig=KILL'],
  ...['unshare', '--mount', '--propagation=private', '--pid', '--fork', '--kill-child'],
];

async function run(
  words: readonly string[],
  dir: string,
  { say, signal }: BootstrapParts,
): Promise<{ code: number | null; said: string }> {
  // Its own files go below `dir`, too, so that nothing is left wherever it ends.
  const env = { ...process.env, LC_ALL: 'C', TMPDIR: dir };
  const [command = '', ...args] = [...CONFINED, ...words];
  const stdio: StdioOptions = ['ignore', 'ignore', 'pipe'];
  const options = { env, cwd: dir, stdio, signal, killSignal: 'SIGKILL' } as const;
  const child = spawn(command, args, options) as ChildProcessByStdio<null, null, Readable>;
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  let said = '';
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SAID_MAX);
    const lines = (rest + text).split(/[\r\n]/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') say(line);
  });
  // 'close' comes after it, too, when nothing of the child is left.
  child.on('error', (cause) => {
    said += String(cause);
  });
  return { code: await closed, said };
}
