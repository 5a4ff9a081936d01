/** `byref template build`: a configuration becomes a version of a template, if that would be another one than the newest. */
import { ByrefError } from '../base/error.ts';
import type { TemplateRow, VersionRow } from '../codec/store-rows.ts';
import type { Store } from '../store/store.ts';
import { addVersion } from '../template/add-version.ts';
import { readArchive, templateFor } from '../template/import.ts';
import type { OnProgress } from '../template/tree.ts';
import { type BootstrapParts, bootstrap } from './bootstrap.ts';
import { type BuildConfig, configText } from './config.ts';
import {
  changesText,
  type PackageChange,
  type Packages,
  packageChanges,
  packagesOfTree,
  packagesOfVersion,
} from './packages.ts';
import { ruleOf, settleTimes } from './rules.ts';
import { withWorkplace } from './workplace.ts';

export interface Built {
  readonly template: TemplateRow;
  /** Null: it would be the newest version again. */
  readonly version: VersionRow | null;
  /** Against the newest version until now; of a first one, all are new. */
  readonly packages: readonly PackageChange[];
}

export interface BuildParts extends BootstrapParts {
  /** Runs with the store open for writing; called once, when all is there. */
  readonly write: <T>(work: (store: Store) => Promise<T>) => Promise<T>;
  readonly note: string | null;
  readonly progress: OnProgress;
}

/** @throws ByrefError; then the store is as before, and nothing else is left */
export async function buildTemplate(config: BuildConfig, parts: BuildParts): Promise<Built> {
  if (config.kind === 'app') {
    throw new ByrefError(
      'unsupported',
      'apps can not be built yet',
      'Import a directory or a tar.',
    );
  }
  // Files that are unpacked from packages have the times that they have there.
  const startedS = Math.floor(Date.now() / 1000);
  return withWorkplace(async (dir) => {
    const archive = await bootstrap(config, dir, parts);
    return parts.write((store) => add(store, config, archive, startedS, parts));
  });
}

async function add(
  store: Store,
  config: BuildConfig,
  archive: string,
  startedS: number,
  { note, progress }: BuildParts,
): Promise<Built> {
  const { kind, name, label, shared } = config;
  const source = configText(config);
  const before = store.template(name);
  const patterns = shared === null ? {} : { sharedPatterns: shared };
  const had: Packages =
    before === null ? new Map() : packagesOfVersion(store, before, before.newest);
  let packages: readonly PackageChange[] = [];
  const added = await addVersion(store, {
    template: templateFor(store, name, { kind, ...patterns }),
    read: (writer) => readArchive(archive, writer, progress, ruleOf),
    describe(tree) {
      settleTimes(tree, startedS);
      packages = packageChanges(had, packagesOfTree(store, tree));
      return {
        label,
        config: source,
        note: note ?? (before === null ? '' : changesText(packages)),
      };
    },
    onlyIfChanged: true,
    progress,
  });
  if (added !== null) return { ...added, packages };
  keepConfig(store, before!, source);
  return { template: before!, version: null, packages: [] };
}

/** It makes the same version, and may make another one later. */
function keepConfig(store: Store, template: TemplateRow, config: string): void {
  const newest = store.catalog.version(template.id, template.newest);
  if (newest === null || newest.config === config) return;
  store.tables.transaction(() => store.catalog.putVersion(template.id, { ...newest, config }));
}
