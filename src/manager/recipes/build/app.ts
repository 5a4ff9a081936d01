/**
 * Builds an app template: apt installs packages into a scratch env of the base, and what that changed is the
 * template.
 */
import { ByrefError } from '../../../base/error.ts';
import { pathToText } from '../../../base/ids.ts';
import { writeInRoot } from '../../../base/in-root.ts';
import type { VersionBase } from '../../../codec/store-rows.ts';
import type { Store } from '../../../store/store.ts';
import { type ConfinedParts, runConfined, STATUS_FD } from '../../confinement/confined.ts';
import { prepared, runInside } from '../../confinement/inside.ts';
import { archiveChanges, type ChangedArchive } from '../../sandbox/changed-tree.ts';
import { ownProxies } from '../../sandbox/given.ts';
import { interrupted } from '../../sandbox/interrupted.ts';
import { withMountpoints } from '../../sandbox/mountpoints.ts';
import { withScratchEnv } from '../../sandbox/scratch-env.ts';
import type { StoreAccess } from '../../sandbox/store-access.ts';
import { aptFailure } from './apt-failure.ts';
import { aptStatus } from './apt-progress.ts';
import { sourcesText } from './apt-sources.ts';
import { assignAccountIds, type Renumbered } from './assign-account-ids.ts';
import type { BootstrapParts } from './bootstrap.ts';
import type { BuildConfig } from './config.ts';
import type { Packages } from './packages.ts';
import { newestOf, Plan } from './plan.ts';
import { ruleOf } from './rules.ts';
import { directoriesOf, ownSources, pinsText } from './sources.ts';

/** The changes that an installation made, in an archive. */
export interface InstalledApp extends ChangedArchive {
  /** The version that it was installed on. */
  readonly base: VersionBase;
  readonly renumbered: Renumbered;
  /** What an app can't do, in sentences. */
  readonly notes: readonly string[];
}

/** The caller's part in a build that may install an app. */
export interface InstallParts extends BootstrapParts, StoreAccess {
  /** The version of the base to install an app on; null for the current one. */
  readonly on: number | null;
}

/**
 * Returns an app's base, and the version of it that the app is installed on.
 * @param on a version; null for the current one
 * @throws ByrefError 'notFound', 'badInput' if it is not an OS template
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
 * Installs the packages of a configuration. Returns null if apt would install what the app's newest version
 * has, on the same version of the base: what scripts make anew each time (keys, databases) is no reason for
 * another version.
 * @param dir an empty directory, for the archive
 * @param store makes a version of the result; the base stays in use until then
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
    const renumbered = await assignAccountIds(env, parts);
    parts.progress({ phase: 'pack', files: 0, bytes: 0 });
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
    // After Ctrl-C any error counts as the interruption: on a terminal it ends our programs, too.
    throw parts.signal.aborted ? interrupted(`${config.name} could not be built`) : cause;
  });
}

/** How many names a note lists. */
const KEPT_SHOWN = 10;

/** Notes what packages removed from the base: an app only adds, so an env shows it nevertheless. */
function keptNotes(removed: readonly string[], name: string, base: string): string[] {
  const kept = removed.filter((each) => ruleOf(each) === 'keep').map((each) => pathToText(each));
  if (kept.length === 0) return [];
  const more = kept.length - KEPT_SHOWN;
  const names = kept.slice(0, KEPT_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
  return [`${name} removed ${names}, which ${base} has: envs see it all the same`];
}

const NO_QUESTIONS = {
  DEBIAN_FRONTEND: 'noninteractive',
  DEBCONF_NONINTERACTIVE_SEEN: 'true',
} as const;

const SOURCES = 'etc/apt/sources.list.d';
const PREFERENCES = 'etc/apt/preferences.d';

const STATUS = `--option=APT::Status-Fd=${STATUS_FD}`;

/** Every warning is an error: packages of a source that could not be read would be missing. */
const UPDATE = ['apt-get', '--quiet', STATUS, '--option=APT::Update::Error-Mode=any', 'update'];

function installWords({ packages, recommends }: BuildConfig): string[] {
  return [
    ...['apt-get', '--quiet', STATUS, '--assume-yes', '--no-remove'],
    `--option=APT::Install-Recommends=${recommends}`,
    '--option=Dpkg::Use-Pty=0',
    // If the machine stops, only a scratch env is lost.
    '--option=Dpkg::Options::=--force-unsafe-io',
    ...['install', ...packages],
  ];
}

/** Writes the app's own sources and pins. They become part of the app, so that an env's apt knows them, too. */
function writeSources(config: BuildConfig, root: string): void {
  const write = (file: string, text: string): void =>
    writeInRoot(root, file, Buffer.from(text).toString('latin1'));
  // apt ignores files with other characters in their names.
  const name = config.name.replaceAll('+', '_');
  const sources = ownSources(config);
  if (sources.length > 0) write(`/${SOURCES}/${name}.sources`, sourcesText(sources));
  if (config.pins.length > 0) write(`/${PREFERENCES}/${name}.pref`, pinsText(config.pins));
}

/** Installs the packages. @returns false, with nothing installed, if `packages` is what would be installed */
async function install(
  config: BuildConfig,
  root: string,
  packages: Packages | null,
  parts: InstallParts,
): Promise<boolean> {
  const { name, hooks } = config;
  const what = `${name} could not be built`;
  writeSources(config, root);
  const binds = directoriesOf(config);
  const { given } = parts;
  const work = async (): Promise<boolean> => {
    const run = async (words: readonly string[], how: Partial<ConfinedParts> = {}) => {
      const env = { ...ownProxies(), ...NO_QUESTIONS, ...given.env };
      const place = { env, binds, readOnly: given.binds };
      const { code, said } = await runInside(root, words, { ...parts, ...how, ...place });
      if (code !== 0) throw aptFailure(said, what, 'below the root');
    };
    const { progress } = parts;
    progress({ phase: 'indices', files: 0, bytes: 0 });
    await withinLimit(parts.signal, (signal) =>
      run(UPDATE, { signal, status: aptStatus(progress, 'indices') }),
    );
    const words = installWords(config);
    if (packages !== null) {
      const plan = new Plan();
      progress({ phase: 'plan', files: 0, bytes: 0 });
      await run([...words, '--simulate'], { say: plan.hear });
      if (plan.isOf(packages)) return false;
    }
    await run(words, { status: aptStatus(progress, 'download') });
    await run(['apt-get', 'clean']);
    for (const [i, hook] of hooks.entries()) {
      progress({ phase: 'hooks', files: 0, bytes: 0, part: i / hooks.length });
      await runHook(hook, root, parts, what);
    }
    return true;
  };
  return withMountpoints(root, given.binds, () => prepared(root, binds, work));
}

/** apt has been seen to wait forever when one of several sources can't be reached. */
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

/** Runs a hook on the machine itself, as for an OS template; programs that it leaves running end with it. */
async function runHook(
  hook: string,
  root: string,
  parts: InstallParts,
  what: string,
): Promise<void> {
  const words = ['sh', '-c', hook, 'sh', root];
  const { code, said } = await runConfined(words, {
    ...parts,
    env: { ...process.env, ...parts.given.env },
    cwd: '/',
    keep: root,
  });
  if (code === 0) return;
  const message = [`${what}: the hook "${hook}" failed:`, ...said.trim().split(/[\r\n]+/)];
  throw new ByrefError('badInput', message, 'The lines above are what it said.');
}
