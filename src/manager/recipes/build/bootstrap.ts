/** Runs mmdebstrap, which makes a root file system from Debian packages, and reports a failure in a sentence. */
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { TEMPORARY_DIR } from '../../../base/temporary-dir.ts';
import { runConfined } from '../../confinement/confined.ts';
import type { Given } from '../../sandbox/given.ts';
import { interrupted } from '../../sandbox/interrupted.ts';
import type { OnProgress } from '../../templates/tree.ts';
import { aptFailure } from './apt-failure.ts';
import { mmdebstrapLines, tellSize } from './apt-progress.ts';
import { sourcesText } from './apt-sources.ts';
import { type BindHooks, bindHooks, quoted } from './bind-hooks.ts';
import type { BuildConfig } from './config.ts';
import { asksApt } from './has-suite.ts';
import type { Packages } from './packages.ts';
import { Plan } from './plan.ts';
import { pinsText, systemSources } from './sources.ts';
import { workplaceFile } from './workplace.ts';

/** Without this hook, apt inside the tree can't read a repository in a directory of this machine. */
const FILE_HOOKS = '/usr/share/mmdebstrap/hooks/file-mirror-automount';

/** The caller's part in a build: callbacks, a signal, and what the build is given. */
export interface BootstrapParts {
  /** Is called with each line that mmdebstrap prints. */
  readonly say: (line: string) => void;
  /** Ends the build when it is aborted. */
  readonly signal: AbortSignal;
  readonly given: Given;
  readonly progress: OnProgress;
}

/**
 * Makes the root file system of a configuration, as a tar.
 * @param had packages for which no new tree is needed: nothing is installed if apt would take the same ones; or
 *   null
 * @param dir an empty directory, for the tree while it is made, and for the archive
 * @returns the path of a tar in `dir`; null if `had` is what would be installed
 * @throws ByrefError 'badInput' for packages that do not exist or do not fit together; 'unreachable' for a
 *   repository that can't be reached, or breaks off; 'untrusted' for a signature; 'noSpace'; 'unsupported'
 *   without mmdebstrap
 */
export async function bootstrap(
  config: BuildConfig,
  had: Packages | null,
  dir: string,
  parts: BootstrapParts,
): Promise<string | null> {
  const archive = path.join(dir, 'root.tar');
  const what = `${config.name} could not be built`;
  const found = await systemSources(config, asksApt(dir, what, parts));
  const sources = workplaceFile(dir, 'byref.sources', sourcesText(found));
  const pins = workplaceFile(dir, 'byref.pref', pinsText(config.pins));
  const given = bindHooks(parts.given.binds, dir);
  const files = { archive, sources, pins, given };
  if (had !== null) {
    const plan = new Plan();
    parts.progress({ phase: 'plan', files: 0, bytes: 0 });
    await mmdebstrap(simulation(config, files), dir, what, { ...parts, say: plan.hear });
    if (plan.isOf(had)) return null;
  }
  const progress = mmdebstrapLines(parts.progress);
  const say = (line: string): void => {
    progress(line);
    parts.say(line);
  };
  // Without --verbose and without a terminal it reports nothing during long phases.
  const words = ['--verbose', ...args(config, files)];
  await tellSize(archive, parts.progress, () => mmdebstrap(words, dir, what, { ...parts, say }));
  return archive;
}

/** Runs mmdebstrap. @throws ByrefError as bootstrap() */
async function mmdebstrap(
  words: readonly string[],
  dir: string,
  what: string,
  parts: BootstrapParts,
): Promise<void> {
  // Its own files go below `dir`, too, so that nothing is left behind wherever it ends.
  const env = { ...process.env, ...parts.given.env, LC_ALL: 'C', TMPDIR: dir };
  const { code, said } = await runConfined(['mmdebstrap', ...words], { ...parts, env, cwd: dir });
  if (code === 0) return;
  if (parts.signal.aborted) {
    throw interrupted(what);
  }
  if (/mmdebstrap: not found/.test(said)) {
    const message = 'mmdebstrap is needed to build an OS template';
    throw new ByrefError('unsupported', message, 'Install it: apt-get install mmdebstrap.');
  }
  throw aptFailure(said, what, `in ${TEMPORARY_DIR}`);
}

/**
 * Returns the options to find out what apt would do. Hooks are not run then, so the pins are passed in another
 * way.
 */
const simulation = (config: BuildConfig, files: BootstrapFiles): string[] => [
  ...['--simulate', '--verbose', `--aptopt=Dir::Etc::Preferences "${files.pins}"`],
  ...args(config, files),
];

const usesFiles = ({ repository, sources }: BuildConfig): boolean =>
  [repository, ...sources.map((each) => each.repository)].some((each) => /^file:/.test(each ?? ''));

interface BootstrapFiles {
  readonly archive: string;
  readonly sources: string;
  readonly pins: string;
  /** What the build is given, as options. */
  readonly given: BindHooks;
}

/** Installs the pins before the first package is chosen; $1 is the tree. */
const pinHook = (pins: string): string =>
  `mkdir -p "$1/etc/apt/preferences.d" && cp ${quoted(pins)} "$1/etc/apt/preferences.d/"`;

function args(config: BuildConfig, { archive, sources, pins, given }: BootstrapFiles): string[] {
  const { variant, architecture, packages, hooks, suite } = config;
  return [
    '--format=tar',
    `--variant=${variant}`,
    ...(architecture === null ? [] : [`--architectures=${architecture}`]),
    ...(packages.length === 0 ? [] : [`--include=${packages.join(',')}`]),
    ...(usesFiles(config) ? [`--hook-dir=${FILE_HOOKS}`] : []),
    ...(config.pins.length > 0 ? [`--setup-hook=${pinHook(pins)}`] : []),
    ...given.before,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
    ...given.after,
    suite,
    archive,
    sources,
  ];
}
