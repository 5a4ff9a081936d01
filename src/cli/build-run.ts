/** The common part of `template build` and `template update`. */
import type { Command } from 'commander';
import { formatSize } from '../base/size.ts';
import type { Built } from '../manager/recipes/build/build.ts';
import type { PackageChange } from '../manager/recipes/build/packages.ts';
import type { AppFit } from '../manager/rollout/app-fits.ts';
import { type BuildEvent, buildTemplate, type ConfigText } from '../services/build-template.ts';
import { type Context, contextOf } from './command.ts';
import { type GivenOptions, givenOptions } from './given.ts';
import { type Interruption, interruption } from './interruption.ts';
import { printNotes } from './notes.ts';
import { objectsText, parseCount } from './numbers.ts';
import { appLine } from './plan-text.ts';
import { printLines, sayLines } from './print.ts';
import { Progress } from './progress.ts';
import { sessionOf } from './session.ts';
import { printResult } from './table.ts';

/** The options of both commands. */
export interface BuildOptions extends GivenOptions {
  readonly note?: string;
  readonly verbose?: boolean;
  readonly on?: number;
  /** Also build again those apps of the template that no longer fit it. */
  readonly apps?: boolean;
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

/** Builds a version, and with --apps the apps again; prints results as they come, or with --json all at the end. */
export async function runBuild(
  verb: 'template build' | 'template update',
  options: BuildOptions,
  find: (context: Context) => Promise<ConfigText>,
): Promise<void> {
  const context = contextOf(options);
  const config = await find(context);
  const { note = null, on = null, apps = false, verbose = false } = options;
  const progress = new Progress({ json: context.json });
  // Ctrl-C is caught only while a version is built.
  const caught = interruption();
  caught.release();
  const built = await buildTemplate(
    sessionOf(context),
    { config, note, on, given: options, apps },
    {
      on: (event) => tell(event, context, progress, caught),
      progress: progress.update,
      say: verbose ? progress.note : () => undefined,
      signal: caught.signal,
    },
  ).finally(() => progress.end());
  if (context.json) printResult(verb, built);
}

function tell(
  event: BuildEvent,
  { json }: Context,
  progress: Progress,
  { renew, release }: Interruption,
): void {
  switch (event.what) {
    case 'begin':
      renew();
      return;
    case 'committing':
      release();
      return;
    case 'stored':
      progress.end();
      printNotes(event.built.notes);
      return;
    case 'fits':
      if (!json) printLines(...textOf(event.built), ...appLines(event));
      return;
    case 'skipped':
      progress.end();
      sayLines(`byref: ${event.why}`);
  }
}

/** Says of the apps that are not built again what is to be done about them. */
function appLines({ built, apps, again }: Extract<BuildEvent, { what: 'fits' }>): string[] {
  const { template, version } = built;
  const rest = apps.filter((app: AppFit) => !again.includes(app));
  return rest.map((app) => appLine(template.name, version?.number ?? 0, app));
}

function textOf({ template, version, packages }: Built): string[] {
  const { name, newest, current } = template;
  if (version === null) return [`${name}: nothing new; ${name}@${newest} is what there is`];
  const { number, files, directories, bytes, addedObjects, addedBytes } = version;
  return [
    `${name}@${number}: ${files} files in ${directories} directories, ${formatSize(bytes)}; ` +
      `new: ${objectsText(addedObjects)}, ${formatSize(addedBytes)}`,
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
