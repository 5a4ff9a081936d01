/** Tells where a path of an env comes from: from the env itself, or from which template, version and package. */
import { existsSync, readFileSync } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import { type Ino, type Name, pathFromText, pathToText, ROOT_INO } from '../base/ids.ts';
import { isDir, isLnk } from '../base/mode.ts';
import { rootOf, walkPath } from '../base/path-walk.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import type { LowerTree } from '../driver/core/ports.ts';
import { type DeltaView, readDelta } from '../driver/delta/read-delta.ts';
import { packageOwning } from '../manager/recipes/build/package-owner.ts';
import { listingPath, programsIn } from '../manager/recipes/capture/listing.ts';
import { fileAt } from '../manager/templates/walk-version.ts';
import { isComposition, plainStack } from '../store/compositions.ts';
import { type EnvRow, envDir, type StackRef, type Store } from '../store/store.ts';

/** The origin of a path. */
export interface Origin {
  /** The path as it was asked for; then `real`, which has no symlinks on the way. */
  readonly path: string;
  readonly real: string;
  /** template: it is as a template has it. own: the env made or changed it. removed: the env removed it. */
  readonly what: 'template' | 'own' | 'removed';
  /**
   * The template that has it, also under what the env made of it; null if none has it, or if it is merged from several: see
   * `merged`.
   */
  readonly template: string | null;
  readonly version: number | null;
  /** NAME VERSION from dpkg's database in that template; null if no package has it, or it is a directory. */
  readonly package: string | null;
  /** Programs that wrote it, if it was captured and no package has it (an empty list: unknown); else null. */
  readonly writtenBy: readonly string[] | null;
  /** If it is merged from several templates (and `template` is null), NAME@VERSION of each, bottom first; else empty. */
  readonly merged: readonly string[];
}

/** Finds where a path comes from. @throws ByrefError 'notFound' if neither the env nor a template of its stack has it */
export async function originOf(store: Store, row: EnvRow, path: string): Promise<Origin> {
  const directory = envDir(store.root, row.id);
  const view = existsSync(directory) ? await readDelta(directory) : null;
  try {
    return new Search(store, row, view).find(path);
  } finally {
    await view?.close();
  }
}

interface Found {
  readonly dir: Ino;
  readonly name: Name;
  /** The inode that the env shows there; null if it removed the name. */
  readonly record: InodeRecord | null;
  readonly own: boolean;
}

class Search {
  private readonly store: Store;
  private readonly row: EnvRow;
  private readonly view: DeltaView | null;
  private readonly stack: readonly StackRef[];
  private readonly lower: LowerTree;

  constructor(store: Store, row: EnvRow, view: DeltaView | null) {
    this.store = store;
    this.row = row;
    this.view = view;
    this.stack = store.resolveStack(row);
    this.lower = store.lowerTree(this.stack);
  }

  find(asked: string): Origin {
    const { found, path } = this.walk(asked);
    const has = found === null ? (this.stack[0] ?? null) : this.templateWith(found);
    const what = found?.record === null ? 'removed' : found?.own === true ? 'own' : 'template';
    const real = path === '' ? '/' : pathToText(path);
    const shown = { path: asked, real, what } as const;
    if (has === null || isComposition(has)) {
      const merged = has === null || found === null ? [] : this.partsOf(found);
      return { ...shown, template: null, version: null, package: null, merged, writtenBy: null };
    }
    const { templateId, version } = has;
    const template = this.templateName(has);
    // A directory may belong to many packages.
    const isFile = found !== null && !isDir(this.inTemplate(has, found)?.mode ?? 0);
    const owner = isFile ? packageOwning(this.store, { id: templateId }, version, path) : null;
    const writtenBy = owner === null ? this.writersOf(has, template, path) : null;
    return { ...shown, template, version, package: owner, merged: [], writtenBy };
  }

  /** Returns the writers that a captured template lists for the path; null if it lists none. */
  private writersOf(ref: StackRef, template: string, path: string): readonly string[] | null {
    const object = fileAt(this.store.lowerTree([ref]), listingPath(template))?.object ?? '';
    if (object === '') return null;
    return programsIn(readFileSync(this.store.objects.path(object), 'latin1'), path);
  }

  private templateName({ templateId }: StackRef): string {
    return this.row.stack.find((entry) => entry.templateId === templateId)!.template;
  }

  /** Returns the versions from which a composition merged what it has there. */
  private partsOf(found: Found): string[] {
    const all = plainStack(this.stack);
    const have = all.filter((ref) => this.inTemplate(ref, found) !== null);
    return (have.length > 0 ? have : all).map((ref) => `${this.templateName(ref)}@${ref.version}`);
  }

  /**
   * Follows symlinks in all components of a path but the last one, about which the question is.
   * @returns its name, or null for the root; and the path that leads there without a symlink
   */
  private walk(asked: string): { readonly found: Found | null; readonly path: string } {
    const ends: { readonly found: Found; readonly path: string }[] = [];
    const { at, stoppedAt } = walkPath(rootOf(ROOT), pathFromText(asked), {
      step: ({ dir, path }, name, isLast) => {
        const found = this.child(dir, name as Name);
        const here = `${path}/${name}`;
        if (found !== null && isLast) ends.push({ found, path: here });
        const record = isLast ? null : (found?.record ?? null);
        if (record === null) return null;
        if (isLnk(record.mode)) return { target: record.target };
        return isDir(record.mode) ? { dir: { dir: record.ino, path: here } } : null;
      },
    });
    if (stoppedAt === null) return { found: null, path: at.dir.path };
    return ends[0] ?? this.missing(asked, `${at.dir.path}/${stoppedAt}`);
  }

  /** Looks a name up as the env shows it; null if there is none. */
  private child(dir: Ino, name: Name): Found | null {
    const own = this.view?.name(dir, name) ?? null;
    if (own === null) {
      const record = this.lower.lookup(dir, name);
      if (record === null) return null;
      const changed = this.view?.inode(record.ino) ?? null;
      return { dir, name, record: changed ?? record, own: changed !== null };
    }
    if (own.ino === 0) {
      return this.lower.lookup(dir, name) === null ? null : { dir, name, record: null, own: true };
    }
    return {
      dir,
      name,
      record: this.view?.inode(own.ino) ?? this.lower.inode(own.ino),
      own: true,
    };
  }

  /** Returns the topmost template that has the name. */
  private templateWith(found: Found): StackRef | null {
    return this.stack.findLast((ref) => this.inTemplate(ref, found) !== null) ?? null;
  }

  private inTemplate(ref: StackRef, { dir, name }: Found): InodeRecord | null {
    return this.store.lowerTree([ref]).lookup(dir, name);
  }

  private missing(asked: string, path: string): never {
    const where = path === asked ? '' : ` (${pathToText(path)} is not there, or no directory)`;
    const message = `${this.row.name} has no ${asked}${where}`;
    throw new ByrefError('notFound', message, 'Give a path from the root of the env.');
  }
}

/** A directory on the way to the path. */
interface Place {
  readonly dir: Ino;
  /** Its path; '' for the root. */
  readonly path: string;
}

const ROOT: Place = { dir: ROOT_INO, path: '' };
