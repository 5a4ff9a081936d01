/** An application template: apt installs packages into a throw-away env of the base, and what that changed is the template. */
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { type Name, nameToText } from '../base/ids.ts';
import type { VersionBase } from '../codec/store-rows.ts';
import { archiveChanges, type ChangedArchive } from '../scratch/changed-tree.ts';
import { runConfined } from '../scratch/confined.ts';
import { writeInRoot } from '../scratch/in-root.ts';
import { prepared, runInside } from '../scratch/inside.ts';
import { interrupted } from '../scratch/interrupted.ts';
import { withScratchEnv } from '../scratch/scratch-env.ts';
import type { StoreAccess } from '../scratch/store-access.ts';
import type { Store } from '../store/store.ts';
import { aptFailure } from './apt-failure.ts';
import { sourcesText } from './apt-sources.ts';
import { type BootstrapParts, ownSource } from './bootstrap.ts';
import { type BuildConfig, configText } from './config.ts';
import { ownPackages, type Packages } from './packages.ts';
import { ruleOf } from './rules.ts';
import { type Renumbered, settleAccounts } from './settle-accounts.ts';

export interface InstalledApp extends ChangedArchive {
  /** What it was installed on. */
  readonly base: VersionBase;
  readonly renumbered: Renumbered;
  /** What an app can't do, in sentences. */
  readonly notes: readonly string[];
}

export interface InstallParts extends BootstrapParts, StoreAccess {
  /** The version of the base that an app is installed on; null: the current one. */
  readonly on: number | null;
}

/**
 * The base of an app, and the version that it is installed on.
 * @param on a version; null: the current one
 * @throws ByrefError 'notFound', 'badInput' if it is no OS template
 */
export function baseOf(
  store: Store,
  { name, base }: Pick<BuildConfig, 'name' | 'base'>,
  on: number | null,
) {
  const { template, version } = store.catalog.resolve(on === null ? (base ?? '') : `${base}@${on}`);
  if (template.kind === 'os') return { template, version };
  const message = `${template.name}, the base of ${name}, is no OS template`;
  throw new ByrefError('badInput', message, 'Name the OS template that it is to be installed on.');
}

/**
 * Installs the packages of a configuration. Null if apt would install what the newest version of the app has, on the same
 * version of the base: what scripts make anew each time (keys, databases) is no reason for another one.
 * @param dir an empty directory, for the archive
 * @param store makes a version of it: what it was installed on stays until then
 * @throws ByrefError as bootstrap() does
 */
export async function installApp<T>(
  config: BuildConfig,
  dir: string,
  parts: InstallParts,
  store: (app: InstalledApp) => Promise<T>,
): Promise<T | null> {
  const { base, had } = await parts.read((store) => ({
    base: baseOf(store, config, parts.on),
    had: newestOf(store, config),
  }));
  const stack = [`${base.template.name}@${base.version.number}`];
  const installed = withScratchEnv(parts, { stack }, async (env) => {
    const isSame = had !== null && had.base?.version === base.version.number;
    const packages = isSame ? had.packages : null;
    if (!(await install(config, env.mountpoint, packages, parts))) return null;
    const renumbered = await settleAccounts(env, parts);
    const archive = await parts.read((store) => archiveChanges(store, env, dir));
    parts.signal.throwIfAborted();
    return store({
      ...archive,
      renumbered,
      base: { templateId: base.template.id, version: base.version.number },
      notes: keptNotes(archive.removed, config.name, base.template.name),
    });
  });
  return installed.catch((cause: unknown) => {
    // Whatever failed then: Ctrl-C on a terminal ends programs, too.
    throw parts.signal.aborted ? interrupted(`${config.name} could not be built`) : cause;
  });
}

/** Names that a note shows; there are more in few cases. */
const KEPT_SHOWN = 10;

/** An app only adds: what its packages took away of the base shows in an env all the same. */
function keptNotes(removed: readonly string[], name: string, base: string): string[] {
  const kept = removed
    .filter((each) => ruleOf(each) === 'keep')
    .map((each) => nameToText(each as Name));
  if (kept.length === 0) return [];
  const more = kept.length - KEPT_SHOWN;
  const names = kept.slice(0, KEPT_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
  return [`${name} removed ${names}, which ${base} has: envs see it all the same`];
}

const SOURCES = 'etc/apt/sources.list.d';

/** Every warning is an error: a source that could not be read is one whose packages would be missing. */
const UPDATE = ['apt-get', '--quiet', '--option=APT::Update::Error-Mode=any', 'update'];

function installWords({ packages, recommends }: BuildConfig): string[] {
  return [
    ...['apt-get', '--quiet', '--assume-yes', '--no-remove'],
    `--option=APT::Install-Recommends=${recommends}`,
    '--option=Dpkg::Use-Pty=0',
    // What is lost if the machine stops is a throw-away env.
    '--option=Dpkg::Options::=--force-unsafe-io',
    ...['install', ...packages],
  ];
}

/** What the newest version of the app is made of; null if there is none, or it was made otherwise. */
function newestOf(store: Store, config: BuildConfig) {
  const template = store.template(config.name);
  const version = template && store.catalog.version(template.id, template.newest);
  if (!template || !version || version.config !== configText(config)) return null;
  // A hook may bring anything.
  if (config.hooks.length > 0) return null;
  return { base: version.base, packages: ownPackages(store, template, version.number) };
}

/** @returns false, with nothing installed, if these packages are what would be installed */
async function install(
  config: BuildConfig,
  root: string,
  packages: Packages | null,
  parts: InstallParts,
): Promise<boolean> {
  const { name, repository, hooks } = config;
  const what = `${name} could not be built`;
  const source = ownSource(config);
  if (source !== null) {
    writeInRoot(
      root,
      path.join('/', SOURCES, `${name}.sources`),
      Buffer.from(sourcesText([source])).toString('latin1'),
    );
  }
  const binds = directoryOf(repository);
  return prepared(root, binds, async () => {
    const run = async (words: readonly string[], signal = parts.signal): Promise<string> => {
      const env = { DEBIAN_FRONTEND: 'noninteractive', DEBCONF_NONINTERACTIVE_SEEN: 'true' };
      const { code, said } = await runInside(root, words, { ...parts, signal, env, binds });
      if (code !== 0) throw aptFailure(said, what, 'below the root');
      return said;
    };
    await withinLimit(parts.signal, (signal) => run(UPDATE, signal));
    const words = installWords(config);
    if (packages !== null && isAll(await run([...words, '--simulate']), packages)) return false;
    await run(words);
    await run(['apt-get', 'clean']);
    for (const hook of hooks) await runHook(hook, root, parts, what);
    return true;
  });
}

/** "Inst nginx [1.22.0] (1.22.1-9 Debian:12/stable [amd64])": one line for each package. */
const INST = /^Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+)/gm;

function isAll(simulated: string, packages: Packages): boolean {
  const wanted = [...simulated.matchAll(INST)].map(([, name, version]) => `${name} ${version}`);
  const had = [...packages.values()].map(({ name, version }) => `${name} ${version}`);
  return wanted.length === had.length && new Set([...wanted, ...had]).size === had.length;
}

/** apt has been seen to wait for good when one source of several can't be reached. */
const UPDATE_LIMIT_MS = 600_000;

async function withinLimit(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const limit = AbortSignal.timeout(UPDATE_LIMIT_MS);
  try {
    await work(AbortSignal.any([signal, limit]));
  } catch (cause) {
    if (!limit.aborted || signal.aborted) throw cause;
    const message = `the repositories did not answer within ${UPDATE_LIMIT_MS / 60_000} minutes`;
    const hint = 'Check the addresses and the network, then build again.';
    throw new ByrefError('unreachable', message, hint, { cause });
  }
}

/** On the machine itself, as with an OS template; whatever it leaves running ends with it. */
async function runHook(
  hook: string,
  root: string,
  parts: InstallParts,
  what: string,
): Promise<void> {
  const words = ['sh', '-c', hook, 'sh', root];
  const { code, said } = await runConfined(words, {
    ...parts,
    env: process.env,
    cwd: '/',
    keep: root,
  });
  if (code === 0) return;
  const message = [`${what}: the hook "${hook}" failed:`, ...said.trim().split(/[\r\n]+/)];
  throw new ByrefError('badInput', message, 'The lines above are what it said.');
}

/** A repository in a directory of this machine must be there inside, too. */
function directoryOf(repository: string | null): string[] {
  const [, directory] = /^(?:file|copy):(?:\/\/)?(\/.*)$/.exec(repository ?? '') ?? [];
  return directory === undefined ? [] : [directory];
}
