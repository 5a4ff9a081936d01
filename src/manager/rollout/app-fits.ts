/**
 * Tells which apps can stay when the OS template that they were installed on goes to another version. They are kept, and
 * what they share is merged anew, unless an app has files of the base itself, older than those that come: such an app has
 * to be built again.
 */
import { joinPath, pathFromText, pathToText } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { EnvRow, StackRef, Store, TemplateRow } from '../../store/store.ts';
import { refKey } from '../../store/tree-cache.ts';
import { isGenerated } from '../merge/generated.ts';
import { registryFormat } from '../merge/table.ts';
import { ownPackages, packagesOfVersion } from '../recipes/build/packages.ts';
import { ruleOf } from '../recipes/build/rules.ts';

/** How one version of an app fits a new version of its OS template. */
export interface AppFit {
  /** The app's name. */
  readonly app: string;
  readonly version: number;
  /** The version of the OS template that it was installed on. */
  readonly builtOn: number;
  /** Packages of the base of which the app has its own version, and which the base takes to another one. */
  readonly packages: readonly {
    readonly name: string;
    readonly own: string;
    readonly base: string;
  }[];
  /** Files of the base that both the app and the new version of the base change; absolute, as text. */
  readonly paths: readonly string[];
  /** A newer, staged version of the app that was built on the new version of the base; null if there is none. */
  readonly staged: number | null;
}

/** True if the app can be kept as it is. */
export const fits = ({ packages, paths }: AppFit): boolean =>
  packages.length === 0 && paths.length === 0;

/** Checks every app in these envs once; returns the results by name. @param to the version that `os` goes to */
export function appFits(
  store: Store,
  os: TemplateRow,
  to: number,
  rows: readonly EnvRow[],
): AppFit[] {
  const seen = new Map<string, StackRef>();
  for (const row of rows) {
    for (const ref of store.plainStack(row).slice(1)) {
      seen.set(refKey(ref), ref);
    }
  }
  return [...seen.values()]
    .flatMap((ref) => fitOf(store, os, to, ref) ?? [])
    .sort((a, b) => (a.app < b.app ? -1 : 1));
}

/** Checks the newest version of each app that was installed on this template. @param to the version that `os` goes to */
export function newestFits(store: Store, os: TemplateRow, to: number): AppFit[] {
  return store.templates().flatMap((row) => {
    const { number: version } = store.catalog.newest(row);
    return fitOf(store, os, to, { templateId: row.id, version }) ?? [];
  });
}

/** Checks one version of an app. Null if it was not installed on `os`, or if its base is not known. */
export function fitOf(store: Store, os: TemplateRow, to: number, app: StackRef): AppFit | null {
  const { templateId, version } = app;
  const base = store.catalog.version(templateId, version)?.base ?? null;
  if (base?.templateId !== os.id) return null;
  return {
    app: store.catalog.byId(templateId)?.name ?? '?',
    version,
    builtOn: base.version,
    packages: packagesInTheWay(store, os, to, app, base.version),
    paths: pathsInTheWay(store, os, to, app, base.version),
    staged: stagedOn(store, app, { templateId: os.id, version: to }),
  };
}

function stagedOn(store: Store, { templateId, version }: StackRef, os: StackRef): number | null {
  const newer = store.versions(templateId).findLast(({ number, staged, base }) => {
    return (
      staged &&
      number > version &&
      base?.templateId === os.templateId &&
      base.version === os.version
    );
  });
  return newer?.number ?? null;
}

function packagesInTheWay(
  store: Store,
  os: TemplateRow,
  to: number,
  { templateId, version }: StackRef,
  builtOn: number,
): AppFit['packages'] {
  const before = packagesOfVersion(store, os, builtOn);
  const after = packagesOfVersion(store, os, to);
  return [...ownPackages(store, { id: templateId }, version).values()].flatMap(
    ({ name, version: own }) => {
      const base = after.get(name)?.version;
      const isMoved = base !== undefined && base !== own && before.get(name)?.version !== base;
      return isMoved ? [{ name, own, base }] : [];
    },
  );
}

function pathsInTheWay(
  store: Store,
  os: TemplateRow,
  to: number,
  app: StackRef,
  builtOn: number,
): string[] {
  const lower = store.lowerTree([app]);
  const at = (version: number): StackRef[] => [{ templateId: os.id, version }];
  const paths: string[] = [];
  for (const [dir, names] of store.diffStacks(at(builtOn), at(to)).byDir) {
    const parent = store.dirPath(dir) ?? '';
    for (const { name, was } of names.values()) {
      const own = was === null ? null : lower.lookup(dir, name);
      if (own === null || isDir(own.mode)) continue;
      const path = joinPath(pathFromText(parent), name);
      if (registryFormat(path) !== null || isGenerated(path) || ruleOf(path) !== 'keep') continue;
      paths.push(pathToText(path));
    }
  }
  return paths.sort();
}
