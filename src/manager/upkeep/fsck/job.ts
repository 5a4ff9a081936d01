/** The state of one run: what its checks work on, and what they learn for later ones. */

import type { Ino, Name, ObjectId } from '../../../base/ids.ts';
import type { LinkChange } from '../../../codec/link-history.ts';
import { decodeEnv } from '../../../codec/store-rows.ts';
import { idKey } from '../../../store/keys.ts';
import { rawTables } from '../../../store/raw-tables.ts';
import type { EnvRow, StackRef, Store } from '../../../store/store.ts';
import type { Tables } from '../../../store/tables.ts';
import { type CatalogFacts, readCatalog } from './catalog-facts.ts';
import { DirPaths } from './dir-paths.ts';
import type { DirPlace } from './dir-places.ts';
import type { BrokenObject } from './finding.ts';
import { readHistory } from './link-scan.ts';
import { readRow } from './rows.ts';

/** Returns a template's name in a directory as one string. */
export const linkId = (template: number, dir: Ino | 0, name: Name | ''): string =>
  `${template} ${dir}/${name}`;

/** How far a run is: files or rows of this phase, and bytes where it reads content. */
export interface FsckProgress {
  readonly phase: string;
  readonly files: number;
  readonly bytes: number;
  readonly totalFiles?: number;
  readonly totalBytes?: number;
}

/** How much was checked; the names are those of --json. */
export interface Checked {
  templates: number;
  versions: number;
  /** Compositions are not counted as templates, nor their single version as a version. */
  compositions: number;
  links: number;
  directories: number;
  objects: number;
  /** Bytes that were hashed: 0 without --full. */
  objectBytes: number;
  envs: number;
  patches: number;
  /** Envs that have changes of their own, and how many names and inodes these are. */
  deltas: number;
  deltaNames: number;
  deltaInodes: number;
}

/** Returns the counts before anything was checked. */
export const nothing = (): Checked => ({
  templates: 0,
  versions: 0,
  compositions: 0,
  links: 0,
  directories: 0,
  objects: 0,
  objectBytes: 0,
  envs: 0,
  patches: 0,
  deltas: 0,
  deltaNames: 0,
  deltaInodes: 0,
});

/** How a run checks. */
export interface JobOptions {
  readonly full: boolean;
  readonly repair: boolean;
  /** The root's format; 1 has neither `changes` nor `patches`, 2 has no `accounts`. */
  readonly format: number;
  readonly progress: (state: FsckProgress) => void;
  /** A repair goes on from what there is of a journal that is damaged or lost. */
  readonly acceptLoss: boolean;
  /** A repair removes what is in the lost+found of envs. */
  readonly removeLost: boolean;
  /** apt is asked about the packages of envs. */
  readonly packages: boolean;
}

/** Names of a template's file that its `inodes` row lacks. */
export interface UnnamedFile {
  readonly template: number;
  readonly names: { readonly dir: Ino; readonly name: Name }[];
  /** Another template has a file of this number: which one is right is unknown. */
  disputed: boolean;
}

/** One run over a root that is open for reading or, to repair, for writing. */
export class Job {
  readonly root: string;
  readonly store: Store;
  readonly tables: Tables;
  readonly options: JobOptions;
  readonly paths: DirPaths;
  readonly checked = nothing();
  readonly catalog: CatalogFacts;
  /** The dictionary as it will be after repairs: ino by place (placeKey), and place by ino. */
  dirInos: ReadonlyMap<string, Ino> = new Map();
  dirPlaces: ReadonlyMap<Ino, DirPlace> = new Map();
  /** Templates with a link row that can't be read, so that its content is unknown. */
  readonly unreadable = new Set<number>();
  /** Names (linkId) whose row has a wrong key, so that lookups do not find it. */
  readonly misplaced = new Set<string>();
  /** How many link records name each object. */
  readonly references = new Map<ObjectId, number>();
  /** Objects without a file that no version names. */
  readonly unusedMissing: ObjectId[] = [];
  /** Broken objects whose bytes may be in packages: a repair fetches these while it has no lock. */
  readonly toFetch = new Map<ObjectId, BrokenObject>();
  readonly unnamed = new Map<Ino, UnnamedFile>();
  /** Objects that envs' deltas name. */
  readonly deltaObjects = new Set<ObjectId>();
  /** Number of envs whose delta can't be read completely, so that what it names is unknown. */
  unreadDeltas = 0;
  /** Set if names or directories of templates are damaged, so that what envs have below them is unreliable. */
  doubtful = false;
  /** The highest ino that the dictionary or a link names; envs' own inos do not count. */
  highestIno = 0;

  constructor(store: Store, options: JobOptions) {
    this.root = store.root;
    this.store = store;
    this.tables = rawTables(store);
    this.options = options;
    this.paths = new DirPaths(rawTables(store));
    this.catalog = readCatalog(rawTables(store));
  }

  /** Returns the name of a template, or its number if the name is unknown. */
  templateName(id: number): string {
    return this.catalog.get(id)?.name ?? `number ${id}`;
  }

  isComposition(id: number): boolean {
    return this.catalog.get(id)?.row?.kind === 'composition';
  }

  /** Returns "env web"; its number if its row can't be read. */
  envName(id: number): string {
    const row = readRow(this.tables, 'envs', idKey(id), decodeEnv);
    return row ? `env ${row.name}` : `envs/${id}`;
  }

  /** Returns the versions that an env with these templates sees; 0 for an unknown one. */
  plainStack(stack: EnvRow['stack']): StackRef[] {
    return stack.map(({ templateId, pinned, canary }) => {
      const current = this.catalog.get(templateId)?.row?.current;
      return { templateId, version: pinned ?? canary?.version ?? current ?? 0 };
    });
  }

  /** Describes a template: "template debian", or "composition debian@1 + nginx@2". */
  template(id: number): string {
    return `${this.isComposition(id) ? 'composition' : 'template'} ${this.templateName(id)}`;
  }

  /** Names a version: "debian@1", or "debian@1 + nginx@2" for a composition, which has only one. */
  versionName(id: number, version: number | string): string {
    const name = this.templateName(id);
    return this.isComposition(id) ? name : `${name}@${version}`;
  }

  /** Describes a version: "template debian@1", or "composition debian@1 + nginx@2". */
  version(id: number, version: number): string {
    return this.isComposition(id) ? this.template(id) : `${this.template(id)}@${version}`;
  }

  /** Returns the history of one name; undefined if it has none, null if it can't be read. */
  history(template: number, dir: Ino | 0, name: Name | ''): LinkChange[] | undefined | null {
    const history = readHistory(this.tables, template, dir, name);
    return history === undefined && this.misplaced.has(linkId(template, dir, name))
      ? null
      : history;
  }

  /** Describes a name of a template: "template debian: /usr/lib/x". */
  linkPlace(template: number, dir: Ino | 0, name: Name | ''): string {
    return `${this.template(template)}: ${this.paths.place(dir, name)}`;
  }
}
