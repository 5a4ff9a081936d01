/**
 * Builds a version of a template from a configuration, unless it would be the same as the newest one.
 */
import type { TemplateRow, VersionBase, VersionRow } from '../../../codec/store-rows.ts';
import type { ObjectWriter } from '../../../store/object-writer.ts';
import type { Store } from '../../../store/store.ts';
import { readChanges } from '../../sandbox/changed-tree.ts';
import { addVersion } from '../../templates/add-version.ts';
import { withName } from '../../templates/claim-name.ts';
import { readArchive, templateFor } from '../../templates/import.ts';
import type { TreeNode } from '../../templates/tree.ts';
import { type InstallParts, installApp } from './app.ts';
import { renumberTree } from './assign-account-ids.ts';
import { bootstrap } from './bootstrap.ts';
import { type BuildConfig, configText } from './config.ts';
import { keepState } from './kept-state.ts';
import {
  changesText,
  ownPackages,
  type PackageChange,
  type Packages,
  packageChanges,
  packagesOfTree,
  packagesOfVersion,
  without,
} from './packages.ts';
import { newestOf } from './plan.ts';
import { normaliseTimes, ruleOf } from './rules.ts';
import { addRunDirs } from './run-dirs.ts';
import { withWorkplace } from './workplace.ts';

/** The outcome of a build. */
export interface Built {
  readonly template: TemplateRow;
  /** null if it would be the newest version again, which `template` names then. */
  readonly version: VersionRow | null;
  /** Changes against the version that was the newest; in a first version all packages are new. */
  readonly packages: readonly PackageChange[];
  /** What a reader of the configuration would not expect, in sentences. */
  readonly notes: readonly string[];
}

/** The caller's part in a build that is stored. */
export interface BuildParts extends InstallParts {
  /** Called before the end is written: from then on the store ensures that all or nothing happens. */
  readonly committing: () => void;
  readonly note: string | null;
}

/** A tree to be stored. */
interface Made {
  readonly read: (writer: ObjectWriter) => Promise<TreeNode>;
  readonly base: VersionBase | null;
  readonly notes: readonly string[];
}

/** Builds a version. @throws ByrefError; then the store is as before, and nothing else is left behind */
export async function buildVersion(config: BuildConfig, parts: BuildParts): Promise<Built> {
  // Later times are of files that the build made; files from packages keep the times that they have there.
  const startedS = Math.floor(Date.now() / 1000);
  const root = await parts.read((store) => store.root);
  const inWorkplace = () => withWorkplace((dir) => buildIn(config, dir, startedS, parts));
  return withName(root, config.name, config.kind, inWorkplace);
}

async function buildIn(
  config: BuildConfig,
  dir: string,
  startedS: number,
  parts: BuildParts,
): Promise<Built> {
  const make = config.kind === 'app' ? makeApp : makeOs;
  const built = await make(config, dir, parts, (made) => {
    parts.committing();
    return parts.add((store) => add(store, config, made(store), startedS, parts));
  });
  if (built !== null) return built;
  const template = await parts.read((store) =>
    store.catalog.withNewest(store.template(config.name)!),
  );
  return { template, version: null, packages: [], notes: [] };
}

type Make = (
  config: BuildConfig,
  dir: string,
  parts: BuildParts,
  store: (made: (store: Store) => Made) => Promise<Built>,
) => Promise<Built | null>;

const makeOs: Make = async (config, dir, parts, store) => {
  const had = await parts.read((each) => newestOf(each, config)?.packages ?? null);
  const archive = await bootstrap(config, had, dir, parts);
  if (archive === null) return null;
  return store(() => ({
    read: (writer) => readArchive(archive, writer, parts.progress, ruleOf),
    base: null,
    notes: [],
  }));
};

const makeApp: Make = (config, dir, parts, store) =>
  installApp(config, dir, parts, ({ base, renumbered, notes, ...archive }) => {
    const { progress } = parts;
    const finish = (tree: TreeNode): void => renumberTree(tree, renumbered);
    return store((open) => ({
      read: (writer) =>
        readChanges(archive, open.lowerTree([base]), { writer, rule: ruleOf, progress, finish }),
      base,
      notes,
    }));
  });

async function add(
  store: Store,
  config: BuildConfig,
  { read, base, notes }: Made,
  startedS: number,
  { note, progress }: BuildParts,
): Promise<Built> {
  const { kind, name, label, shared } = config;
  const source = configText(config);
  const patterns = shared === null ? {} : { sharedPatterns: shared };
  const below = base === null ? null : store.lowerTree([base]);
  const basePackages: Packages =
    base === null ? new Map() : packagesOfVersion(store, { id: base.templateId }, base.version);
  let packages: readonly PackageChange[] = [];
  const added = await addVersion(store, {
    template: () => templateFor(store, name, { kind, ...patterns }),
    read,
    describe(tree, before) {
      const isFirst = before.newest === 0;
      const newest = isFirst ? 0 : store.catalog.newest(before).number;
      if (!isFirst) keepState(store, tree, { templateId: before.id, version: newest }, base);
      addRunDirs(store, tree, below);
      const had: Packages = isFirst ? new Map() : ownPackages(store, before, newest);
      normaliseTimes(tree, startedS);
      packages = packageChanges(had, without(packagesOfTree(store, tree), basePackages));
      return {
        label,
        config: source,
        note: note ?? (isFirst ? '' : changesText(packages)),
        ...(base === null ? {} : { base }),
      };
    },
    onlyIfChanged: true,
    progress,
  });
  if (added !== null) return { ...added, packages, notes };
  const template = store.template(name)!;
  await store.writing(() => keepConfig(store, template, source));
  return { template: store.catalog.withNewest(template), version: null, packages: [], notes };
}

/**
 * Stores the changed text of a configuration with the newest version: it makes the same version now, but may
 * make another one later.
 */
function keepConfig(store: Store, template: TemplateRow, config: string): void {
  const newest = store.catalog.newest(template);
  if (newest.config === config) return;
  store.transaction(() => store.catalog.putVersion(template.id, { ...newest, config }));
}
