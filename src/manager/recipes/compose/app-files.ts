/** Checks what the apps of a stack have beside registry files: which conflict, and what must be generated again. */
import { ByrefError } from '../../../base/error.ts';
import { pathToText } from '../../../base/ids.ts';
import { isDir } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import type { Store } from '../../../store/store.ts';
import {
  GENERATED,
  type GeneratedFiles,
  generatedFrom,
  isGenerated,
} from '../../merge/generated.ts';
import { registryFormat } from '../../merge/table.ts';
import { walkVersion } from '../../templates/walk-version.ts';
import { packagesByPath } from '../build/package-owner.ts';
import { ruleOf } from '../build/rules.ts';
import type { AppPart, StackParts } from './parts.ts';

/** The outcome of the check. */
export interface AppFiles {
  /** What must be generated again in the composed tree, in order. */
  readonly generated: readonly GeneratedFiles[];
  /** What the upper of two apps decided, in sentences. */
  readonly notes: readonly string[];
}

/** Symlinks that follow from state files, which are merged. */
const ALTERNATIVES = '/etc/alternatives/';

interface Owned {
  readonly app: AppPart;
  readonly record: InodeRecord;
}

/** Checks the apps. @throws ByrefError 'badInput' if two packages have a file at the same path; it names both */
export function checkApps(store: Store, parts: StackParts): AppFiles {
  const { apps } = parts;
  const due = new Map<GeneratedFiles, Set<AppPart>>();
  const seen = new Map<string, Owned>();
  const clashes = new Clashes(store);
  for (const app of apps) {
    for (const { path: relative, record } of walkVersion(app.lower)) {
      if (isDir(record.mode)) continue;
      const path = `/${relative}`;
      for (const files of generatedFrom(path)) {
        due.set(files, (due.get(files) ?? new Set()).add(app));
      }
      const below = seen.get(path);
      if (below !== undefined && !isSame(below.record, record) && !isShared(path, record)) {
        clashes.add(path, below.app, app);
      }
      seen.set(path, { app, record });
    }
  }
  return {
    // Files that follow from one app alone, on its own base, were generated when it was installed.
    generated: GENERATED.filter((files) => {
      const makers = [...(due.get(files) ?? [])];
      return makers.length > 1 || makers.some(({ fits }) => !fits);
    }),
    notes: clashes.notes(),
  };
}

const isSame = (a: InodeRecord, b: InodeRecord): boolean =>
  a.object === b.object && a.target === b.target && a.mode === b.mode && a.rdev === b.rdev;

const isShared = (path: string, { target }: InodeRecord): boolean =>
  registryFormat(path) !== null ||
  isGenerated(path) ||
  ruleOf(path) !== 'keep' ||
  path.startsWith(ALTERNATIVES) ||
  target.startsWith(ALTERNATIVES);

/** Collects files that two apps have differently. */
class Clashes {
  private readonly store: Store;
  private readonly owners = new Map<AppPart, Map<string, string>>();
  private readonly packages = new Set<string>();
  private readonly files: string[] = [];

  constructor(store: Store) {
    this.store = store;
  }

  add(path: string, lower: AppPart, upper: AppPart): void {
    const [a, b] = [this.ownerOf(lower, path), this.ownerOf(upper, path)];
    const text = pathToText(path);
    if (a !== undefined && a === b) {
      this.packages.add(
        `${lower.name} and ${upper.name} have other versions of ${a}; that of ${upper.name}, which is on top, counts`,
      );
    } else if (a !== undefined && b !== undefined) {
      throw new ByrefError(
        'badInput',
        `${lower.name} and ${upper.name} can't be in one env: package ${a} of the one and ${b} of the other both have ${text}`,
        'Leave one of them out.',
      );
    } else {
      this.files.push(
        `${text}: ${lower.name} and ${upper.name} have it differently; that of ${upper.name}, which is on top, counts`,
      );
    }
  }

  notes(): string[] {
    return [...this.packages, ...this.files];
  }

  private ownerOf(app: AppPart, path: string): string | undefined {
    let owners = this.owners.get(app);
    if (owners === undefined) {
      owners = packagesByPath(this.store, app.ref);
      this.owners.set(app, owners);
    }
    return owners.get(path);
  }
}
