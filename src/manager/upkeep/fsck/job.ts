/** What all checks of one run work on, and what they learn for those after them. */
import type { Ino, Name, ObjectId } from '../../../base/ids.ts';
import type { LinkChange } from '../../../codec/link-history.ts';
import type { EnvRow, StackRef, Store } from '../../../store/store.ts';
import type { Tables } from '../../../store/tables.ts';
import { type CatalogFacts, readCatalog } from './catalog-facts.ts';
import { DirPaths } from './dir-paths.ts';
import type { DirPlace } from './dir-places.ts';
import { readHistory } from './link-scan.ts';

/** A name of a template as one string. */
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

/** How much was looked at; the names are those of --json. */
export interface Checked {
  templates: number;
  versions: number;
  /** These are no templates of people's, and not counted among them; nor is what they have for a version. */
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

/** Before anything was looked at. */
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

export interface JobOptions {
  readonly full: boolean;
  readonly repair: boolean;
  /** The root's format; 1 has neither `changes` nor `patches`, 2 no `accounts`. */
  readonly format: number;
  readonly progress: (state: FsckProgress) => void;
}

/** Names of a template's file that its `inodes` row lacks. */
export interface UnnamedFile {
  readonly template: number;
  readonly names: { readonly dir: Ino; readonly name: Name }[];
  /** Another template has a file of this number: which one is right can't be told. */
  disputed: boolean;
}

/** One run over a root that is open: for reading, or (repair) for writing. */
export class Job {
  readonly root: string;
  readonly store: Store;
  readonly tables: Tables;
  readonly options: JobOptions;
  readonly paths: DirPaths;
  readonly checked = nothing();
  readonly catalog: CatalogFacts;
  /** The dictionary, as it is once what can be repaired in it is: ino by place (placeKey), and place by ino. */
  dirInos: ReadonlyMap<string, Ino> = new Map();
  dirPlaces: ReadonlyMap<Ino, DirPlace> = new Map();
  /** Templates with a link row that can't be read: what such a row says is not known. */
  readonly unreadable = new Set<number>();
  /** Names (linkId) whose row stands at another key than theirs, so that it is not found there. */
  readonly misplaced = new Set<string>();
  /** How many link records name each object. */
  readonly references = new Map<ObjectId, number>();
  /** Objects without a file that no version names. */
  readonly unusedMissing: ObjectId[] = [];
  readonly unnamed = new Map<Ino, UnnamedFile>();
  /** Objects that envs' deltas name. */
  readonly deltaObjects = new Set<ObjectId>();
  /** Envs whose delta can't be read whole: what it names is not known. */
  unreadDeltas = 0;
  /** Names and directories of templates are damaged: what envs have beneath them can't be relied on. */
  doubtful = false;
  /** The highest ino that the dictionary or a link names; those of envs do not count. */
  highestIno = 0;

  constructor(store: Store, options: JobOptions) {
    this.root = store.root;
    this.store = store;
    this.tables = store.tables;
    this.options = options;
    this.paths = new DirPaths(store.tables);
    this.catalog = readCatalog(store.tables);
  }

  /** The name of a template, or its number where the name is not known. */
  templateName(id: number): string {
    return this.catalog.get(id)?.name ?? `number ${id}`;
  }

  isComposition(id: number): boolean {
    return this.catalog.get(id)?.row?.kind === 'composition';
  }

  /** The versions that an env with these templates sees; 0 for one that is not known. */
  plainStack(stack: EnvRow['stack']): StackRef[] {
    return stack.map(({ templateId, pinned, canary }) => {
      const current = this.catalog.get(templateId)?.row?.current;
      return { templateId, version: pinned ?? canary?.version ?? current ?? 0 };
    });
  }

  /** "template debian", or "composition debian@1 + nginx@2" */
  template(id: number): string {
    return `${this.isComposition(id) ? 'composition' : 'template'} ${this.templateName(id)}`;
  }

  /** "debian@1", or "debian@1 + nginx@2": a composition has one version. */
  versionName(id: number, version: number | string): string {
    const name = this.templateName(id);
    return this.isComposition(id) ? name : `${name}@${version}`;
  }

  /** "template debian@1", or "composition debian@1 + nginx@2" */
  version(id: number, version: number): string {
    return this.isComposition(id) ? this.template(id) : `${this.template(id)}@${version}`;
  }

  /** The history of one name; undefined if it has none, null if what it has can't be read. */
  history(template: number, dir: Ino | 0, name: Name | ''): LinkChange[] | undefined | null {
    const history = readHistory(this.tables, template, dir, name);
    return history === undefined && this.misplaced.has(linkId(template, dir, name))
      ? null
      : history;
  }

  /** "template debian: /usr/lib/x" */
  linkPlace(template: number, dir: Ino | 0, name: Name | ''): string {
    return `${this.template(template)}: ${this.paths.place(dir, name)}`;
  }
}
