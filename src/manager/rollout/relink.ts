/** `byref relink`: turns an env's own copies of what its templates have into links to it again. */
import { rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { type Ino, isPrivateIno, joinPath, pathFromText } from '../../base/ids.ts';
import { BLOCK_BYTES, DATA_PRIVATE } from '../../codec/inode-record.ts';
import { encodeSteps, type Step } from '../../codec/steps.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { type DivertedFile, divertedFiles } from '../packages/administrator.ts';
import { EnvTree } from '../packages/env-tree.ts';
import { Relinks } from '../packages/relinks.ts';
import { actInEnv } from './act-in-env.ts';
import { busyEnvs } from './flip.ts';
import { openView, privateFile } from './meets.ts';
import { writeDurably } from './plan-actions.ts';
import { isRewritten } from './policy.ts';
import { releasePackages } from './release.ts';

/** The outcome of relinkEnv(). */
export interface Relinked {
  readonly env: string;
  /** How many files and directories are the templates' again. */
  readonly names: number;
  /** How many names were left out, because the env changed them meanwhile, or has them open for writing. */
  readonly left: number;
  /** Names of packages that a patch had kept back for others, and that follow again. */
  readonly packages: readonly string[];
  /** How many bytes less the env takes on disk. */
  readonly freedBytes: number;
}

/** The file of the steps, in the env's directory; 0 because no patch makes them. */
const FILE = 'steps.0';

/** Relinks all that equals the templates' in one env. The store is open for writing. @throws ByrefError as actInEnv() */
export async function relinkEnv(store: Store, row: EnvRow): Promise<Relinked> {
  await busyEnvs(store, true);
  const before = await ownFiles(store, row);
  const { packages, left: notReleased } = await releasePackages(store, row);
  if (packages.length > 0) await busyEnvs(store, true);
  const steps = await planRelinks(store, row);
  const base = { env: row.name, packages };
  if (steps.length === 0) return { ...base, names: 0, left: notReleased, freedBytes: 0 };
  const file = path.join(envDir(store.root, row.id), FILE);
  writeDurably(file, encodeSteps(steps));
  try {
    const { error, left = 0 } = await actInEnv(store, row, { what: 'steps', file: FILE });
    if (error !== 0) {
      const message = `${row.name}: its links could not be made (errno ${-error})`;
      throw new ByrefError('error', message, 'What was made stays. Run it again.');
    }
    const freedBytes = await freedOf(store, row, before);
    return { ...base, names: steps.length - left, left: left + notReleased, freedBytes };
  } finally {
    rmSync(file, { force: true });
  }
}

/** Returns the sizes on disk, in bytes, of the env's own files, by inode. */
async function ownFiles(store: Store, row: EnvRow): Promise<Map<Ino, number>> {
  const sizes = new Map<Ino, number>();
  const view = await openView(store, row);
  for (const { ino, data } of view?.inodes() ?? []) {
    if (data !== DATA_PRIVATE) continue;
    const stat = statSync(privateFile(store, row, ino), { throwIfNoEntry: false });
    sizes.set(ino, (stat?.blocks ?? 0) * BLOCK_BYTES);
  }
  await view?.close();
  return sizes;
}

/** Sums up the files that the env no longer has. Those themselves may be there for a moment, until that is on disk. */
async function freedOf(
  store: Store,
  row: EnvRow,
  before: ReadonlyMap<Ino, number>,
): Promise<number> {
  const after = await ownFiles(store, row);
  return [...before].reduce((sum, [ino, bytes]) => (after.has(ino) ? sum : sum + bytes), 0);
}

async function planRelinks(store: Store, row: EnvRow): Promise<readonly Step[]> {
  const view = await openView(store, row);
  if (view === null) return [];
  try {
    return await new Planner(store, row, view).plan();
  } finally {
    await view.close();
  }
}

class Planner {
  private readonly store: Store;
  private readonly view: DeltaView;
  private readonly lower;
  private readonly relinks: Relinks;
  private readonly diverted: ReadonlyMap<string, DivertedFile>;

  constructor(store: Store, row: EnvRow, view: DeltaView) {
    this.store = store;
    this.view = view;
    this.lower = store.lowerTree(store.resolveStack(row));
    const base = new EnvTree(store, this.lower, null);
    this.diverted = divertedFiles(new EnvTree(store, this.lower, { id: row.id, view }), view, base);
    this.relinks = new Relinks({
      view,
      envDir: envDir(store.root, row.id),
      from: this.lower,
      to: this.lower,
      isKept: () => false,
      // Both sides are the same, so nothing can appear.
      mayGrow: () => false,
      anyTime: (dir, name) => {
        const parent = this.store.dirPath(dir);
        const bytes = parent === null ? '' : joinPath(pathFromText(parent), name);
        return isRewritten(bytes);
      },
    });
  }

  async plan(): Promise<readonly Step[]> {
    const { diverted } = this;
    for (const own of this.view.changedNames()) {
      const { dir, name, ino } = own;
      // The templates' file of that path is diverted to another one, so what is here has nothing to do with it.
      if (diverted.has(`${dir} ${name}`)) continue;
      // What the env removed is its own doing, and what a patch hid belongs to a package of the env's own.
      if (ino === 0 || isPrivateIno(dir)) continue;
      const is = this.lower.lookup(dir, name);
      if (is !== null) await this.relinks.add({ dir, name, was: is, is }, own);
    }
    return this.relinks.steps;
  }
}
