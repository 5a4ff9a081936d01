/**
 * Builds a version of a template from packages, and with it the apps that no longer fit: `byref template build` and `byref
 * template update`.
 */
import { ByrefError } from '../base/error.ts';
import { type Built, buildVersion } from '../manager/recipes/build/build.ts';
import { type BuildConfig, parseConfig } from '../manager/recipes/build/config.ts';
import { isBuildConfig } from '../manager/recipes/build/needs.ts';
import type { PackageChange } from '../manager/recipes/build/packages.ts';
import { type AppFit, fits, newestFits } from '../manager/rollout/app-fits.ts';
import { needTemplate } from '../manager/rollout/target.ts';
import type { OnProgress } from '../manager/templates/tree.ts';
import type { Store } from '../store/store.ts';
import { type GivenTexts, givenTo } from './given.ts';
import { interruptible, type StoreSession, storeAccess, withStore } from './store-session.ts';
import { type AddedVersion, addedVersion } from './version-result.ts';

/** A configuration's text, and where it is from. */
export interface ConfigText {
  /** For messages. Paths in the configuration are relative to this file's directory. */
  readonly file: string;
  readonly source: string;
}

/** What to build. */
export interface BuildRequest {
  readonly config: ConfigText;
  /** What to remember of it; null: the packages that changed. */
  readonly note: string | null;
  /** Of an app: the version of its base to install it on; null for the current one. */
  readonly on: number | null;
  readonly given: GivenTexts;
  /** Also build again those apps of an OS template that no longer fit it. */
  readonly apps: boolean;
}

/**
 * An event of a build with its apps. begin: a version is about to be built. committing: its end is being written, and from then
 * on the store ensures that all or nothing happens. stored: it is built. fits: it is known which apps stay as they are, and
 * which (`again`) are built next. skipped: an app can't be built again, for instance because it was captured; the others go on.
 */
export type BuildEvent =
  | { readonly what: 'begin'; readonly template: string }
  | { readonly what: 'committing'; readonly template: string }
  | { readonly what: 'stored'; readonly built: Built }
  | {
      readonly what: 'fits';
      readonly built: Built;
      readonly apps: readonly AppFit[];
      readonly again: readonly AppFit[];
    }
  | { readonly what: 'skipped'; readonly app: string; readonly why: string };

/** The caller's part in a build. */
export interface BuildHooks {
  readonly on: (event: BuildEvent) => void;
  readonly progress: OnProgress;
  /** Is called with each line that the package tools print. */
  readonly say: (line: string) => void;
  /** Ends the build when it is aborted. */
  readonly signal: AbortSignal;
}

/** The outcome of buildTemplate(). */
export interface TemplateBuilt {
  readonly template: string;
  /** null if it would be the newest version again. */
  readonly version: AddedVersion | null;
  readonly packages: readonly PackageChange[];
  /** What a reader of the configuration would not expect, in sentences. */
  readonly notes: readonly string[];
  /** How the apps fit that were installed on this OS template; empty if no version was made. */
  readonly apps: readonly AppFit[];
  /** The apps that were built again. */
  readonly rebuilt: readonly TemplateBuilt[];
}

/**
 * Builds a template and, if wanted, its apps.
 * @throws ByrefError as buildVersion(); versions that were made before stay
 */
export async function buildTemplate(
  session: StoreSession,
  request: BuildRequest,
  hooks: BuildHooks,
): Promise<TemplateBuilt> {
  const built = await build(session, request, hooks);
  hooks.on({ what: 'stored', built });
  const apps = await fitsOf(session, built);
  const again = request.apps ? apps.filter((app) => !fits(app)) : [];
  hooks.on({ what: 'fits', built, apps, again });
  const on = built.version?.number ?? 0;
  const rebuilt: TemplateBuilt[] = [];
  for (const { app } of again) {
    rebuilt.push(...(await buildAgain(session, app, { ...request, on, apps: false }, hooks)));
  }
  return { ...resultOf(built), apps, rebuilt };
}

/**
 * Returns the configuration that a template's newest version was built from.
 * @throws ByrefError 'usage' if it was not built, 'notFound'
 */
export function configOf(session: StoreSession, name: string): Promise<ConfigText> {
  return withStore(session, 'read', (store) => {
    const { number: newest, config: source } = store.catalog.newest(needTemplate(store, name));
    if (isBuildConfig(source)) return { file: `${name}@${newest}`, source };
    const message = `${name}@${newest} was not built, but imported or captured`;
    const hint = 'Use byref template build FILE, or import or capture it again.';
    throw new ByrefError('usage', message, hint);
  });
}

async function build(
  session: StoreSession,
  { config: { file, source }, note, on, given }: BuildRequest,
  { on: tell, progress, say, signal }: BuildHooks,
): Promise<Built> {
  const config = parseConfig(source, file);
  await withStore(session, 'read', (store) => checkKind(store, config, file));
  const parts = { note, on, given: givenTo(given, config), progress, say, signal };
  const template = config.name;
  tell({ what: 'begin', template });
  return buildVersion(config, {
    ...parts,
    ...storeAccess(interruptible(session, signal)),
    committing: () => tell({ what: 'committing', template }),
  });
}

/** Builds an app again. Returns nothing if it can't be built. */
async function buildAgain(
  session: StoreSession,
  app: string,
  request: BuildRequest,
  hooks: BuildHooks,
): Promise<TemplateBuilt[]> {
  try {
    const config = await configOf(session, app);
    return [await buildTemplate(session, { ...request, config }, hooks)];
  } catch (error) {
    if (!(error instanceof ByrefError) || error.code !== 'usage') throw error;
    hooks.on({ what: 'skipped', app, why: error.message });
    return [];
  }
}

/** Returns how the apps that were installed on this OS template fit its new version. */
async function fitsOf(session: StoreSession, { template, version }: Built): Promise<AppFit[]> {
  if (template.kind !== 'os' || version === null) return [];
  return withStore(session, 'read', (store) => newestFits(store, template, version.number));
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

const resultOf = ({ template, version, packages, notes }: Built) => ({
  template: template.name,
  version: version === null ? null : addedVersion(version),
  packages,
  notes,
});
