/** The common part of `template build` and `template update`. */
import type { Command } from 'commander';
import { ByrefError } from '../base/error.ts';
import { formatSize } from '../base/size.ts';
import { type Built, buildTemplate } from '../manager/recipes/build/build.ts';
import { type BuildConfig, parseConfig } from '../manager/recipes/build/config.ts';
import type { PackageChange } from '../manager/recipes/build/packages.ts';
import { type AppFit, fits, newestFits } from '../manager/rollout/app-fits.ts';
import { needTemplate } from '../manager/rollout/target.ts';
import type { Store } from '../store/store.ts';
import { type Context, contextOf, interruptible } from './command.ts';
import { type GivenOptions, givenOptions, givenTo } from './given.ts';
import { interruption } from './interruption.ts';
import { printNotes } from './notes.ts';
import { parseCount } from './numbers.ts';
import { appLine } from './plan-text.ts';
import { printLines, sayLines } from './print.ts';
import { Progress } from './progress.ts';
import { storeAccess, withStore } from './session.ts';
import { printJson } from './table.ts';

/** The options of both commands. */
export interface BuildOptions extends GivenOptions {
  readonly note?: string;
  readonly verbose?: boolean;
  readonly on?: number;
  /** Also build again those apps of the template that no longer fit it. */
  readonly apps?: boolean;
}

/** A configuration's text, and where it is from. */
interface ConfigText {
  /** For messages. Paths in the configuration are relative to this file's directory. */
  readonly file: string;
  readonly source: string;
}

/** How many changed packages are listed. A first version's packages are not: they are many, and all new. */
const CHANGES_SHOWN = 50;

/** Adds the options of both commands. */
export const buildOptions = (command: Command): Command =>
  givenOptions(command)
    .option('--note <text>', 'what to remember of it; else the packages that changed')
    .option(
      '--on <version>',
      'of an app: the version of its base to install it on (the current one)',
      parseCount,
    )
    .option('--verbose', 'show what the package tools print');

/** Builds a version, prints what came of it, and with --apps builds the apps again. */
export async function runBuild(
  options: BuildOptions,
  find: (options: BuildOptions) => Promise<ConfigText>,
): Promise<void> {
  const context = contextOf(options);
  const done = await buildWithApps(context, options, await find(options));
  if (context.json) printJson(done);
}

/**
 * Builds a template and, if wanted, its apps. It prints results as they come; with --json it returns them
 * instead.
 */
async function buildWithApps(
  context: Context,
  options: BuildOptions,
  { file, source }: ConfigText,
): Promise<object> {
  const built = await build(context, options, parseConfig(source, file), file);
  const apps = await fitsOf(context, built);
  const on = built.version?.number ?? 0;
  const again = options.apps === true ? apps.filter((app) => !fits(app)) : [];
  if (!context.json) printLines(...textOf(built), ...appLines(built, apps, again));
  const rebuilt: object[] = [];
  for (const { app } of again)
    rebuilt.push(...(await buildAgain(context, { ...options, on }, app)));
  return { ...jsonOf(built), apps, rebuilt };
}

function appLines(
  { template, version }: Built,
  apps: readonly AppFit[],
  again: readonly AppFit[],
): string[] {
  const rest = apps.filter((app) => !again.includes(app));
  return rest.map((app) => appLine(template.name, version?.number ?? 0, app));
}

/** Builds an app again. A captured app can't be built: that is reported, and the others go on. */
async function buildAgain(context: Context, options: BuildOptions, app: string): Promise<object[]> {
  try {
    const found = await builtFrom(context, app);
    return [await buildWithApps(context, { ...options, apps: false }, found)];
  } catch (error) {
    if (!(error instanceof ByrefError) || error.code !== 'usage') throw error;
    sayLines(`byref: ${error.message}`);
    return [];
  }
}

/**
 * Returns the configuration that a template's newest version was built from.
 * @throws ByrefError 'usage' if it was not built
 */
export function builtFrom(context: Context, name: string): Promise<ConfigText> {
  return withStore(context, 'read', (store) => {
    const { number: newest, config: source } = store.catalog.newest(needTemplate(store, name));
    if (source !== '') return { file: `${name}@${newest}`, source };
    const message = `${name}@${newest} was not built, but imported or captured`;
    const hint = 'Use byref template build FILE, or import or capture it again.';
    throw new ByrefError('usage', message, hint);
  });
}

async function build(
  context: Context,
  options: BuildOptions,
  config: BuildConfig,
  file: string,
): Promise<Built> {
  await withStore(context, 'read', (store) => checkKind(store, config, file));
  const given = givenTo(options, config);
  const progress = new Progress({ json: context.json });
  const { signal, release } = interruption();
  const say = options.verbose === true ? progress.note : () => undefined;
  const built = await buildTemplate(config, {
    note: options.note ?? null,
    on: options.on ?? null,
    given,
    say,
    signal,
    progress: progress.update,
    ...storeAccess(interruptible(context, signal)),
    committing: release,
  }).finally(() => progress.end());
  printNotes(built.notes);
  return built;
}

/** Returns how the apps that were installed on this OS template fit its new version. */
async function fitsOf(context: Context, { template, version }: Built): Promise<AppFit[]> {
  if (template.kind !== 'os' || version === null) return [];
  return withStore(context, 'read', (store) => newestFits(store, template, version.number));
}

/**
 * Refuses a name that a template of the other kind has. It is checked before anything is fetched, since the end
 * would refuse it.
 */
function checkKind(store: Store, { name, kind }: BuildConfig, file: string): void {
  const known = store.template(name);
  if (known === null || known.kind === kind) return;
  const message = `${file}: name: there is a template ${name}, of the other kind: ${known.kind}`;
  throw new ByrefError('badInput', message, 'Choose another name, or see byref template list.');
}

function jsonOf({ template, version, packages, notes }: Built): object {
  if (version === null) return { template: template.name, version: null, packages, notes };
  const { dateMs, config: _, ...rest } = version;
  return {
    template: template.name,
    version: { ...rest, date: new Date(dateMs).toISOString() },
    packages,
    notes,
  };
}

function textOf({ template, version, packages }: Built): string[] {
  const { name, newest, current } = template;
  if (version === null) return [`${name}: nothing new; ${name}@${newest} is what there is`];
  const { number, files, directories, bytes, addedObjects, addedBytes } = version;
  return [
    `${name}@${number}: ${files} files in ${directories} directories, ${formatSize(bytes)}; ` +
      `new: ${addedObjects} objects, ${formatSize(addedBytes)}`,
    ...packagesText(packages),
    ...(number === current ? [] : [`staged; byref patch ${name} gives it to the envs`]),
  ];
}

function packagesText(packages: readonly PackageChange[]): string[] {
  if (packages.every(({ was }) => was === null)) {
    return packages.length === 0
      ? []
      : [packages.length === 1 ? '1 package' : `${packages.length} packages`];
  }
  const shown = packages.slice(0, CHANGES_SHOWN);
  const rest = packages.length - shown.length;
  return [
    ...shown.map(({ name, was, is }) => `  ${name}: ${was ?? 'new'} -> ${is ?? 'gone'}`),
    ...(rest === 0 ? [] : [`  and ${rest} more`]),
  ];
}
