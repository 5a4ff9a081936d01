import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Ino } from '../../../src/base/ids.ts';
import { isDir } from '../../../src/base/mode.ts';
import type { EnvFileSystem } from '../../../src/driver/core/api.ts';
import { createFileSystem } from '../../../src/driver/core/filesystem.ts';
import type { DirEntryRef, KernelCaches, LowerTree } from '../../../src/driver/core/ports.ts';
import type { EnvAction } from '../../../src/driver/core/set-aside.ts';
import type { TreeDiff } from '../../../src/driver/core/tree-diff.ts';
import type { EnvDelta } from '../../../src/driver/delta/env-delta.ts';
import { openDelta } from '../../../src/driver/delta/open-delta.ts';
import { readDelta } from '../../../src/driver/delta/read-delta.ts';
import { importTemplate } from '../../../src/manager/templates/import.ts';
import { fileCalls } from '../../../src/native/file-calls.ts';
import { dirPath } from '../../../src/store/dir-path.ts';
import { rawTables } from '../../../src/store/raw-tables.ts';
import { initRoot, openStore, type StackRef, type Store } from '../../../src/store/store.ts';
import type { Stack } from '../../model/templates.ts';
import { APP_VERSIONS, makeTree, OS_VERSIONS } from '../../model/tree.ts';
import { problems } from './env-problems.ts';
import { Vfs } from './vfs.ts';

/** A store with the templates of the model's histories, and envs on it that no kernel sees. */
export class LocalStore {
  readonly scratch = mkdtempSync(path.join(tmpdir(), 'byref-fs-'));
  store!: Store;
  private ids: number[] = [];
  private envs = 0;

  async open(): Promise<void> {
    const root = path.join(this.scratch, 'root');
    await initRoot(root);
    this.store = await openStore(root, { write: true });
    for (const [i, versions] of [OS_VERSIONS, APP_VERSIONS].entries()) {
      for (const version of versions) {
        const source = path.join(this.scratch, 'source');
        makeTree(source, version);
        const kind = i === 0 ? 'os' : 'app';
        // All by the page cache: what passthrough does is the mounted tests' to see.
        await importTemplate(this.store, kind, source, { kind, sharedPatterns: [] });
        rmSync(source, { recursive: true });
      }
      this.ids.push(this.store.template(i === 0 ? 'os' : 'app')!.id);
    }
  }

  stack(versions: Stack): StackRef[] {
    return versions.map((version, i) => ({ templateId: this.ids[i]!, version }));
  }

  newDirectory(): string {
    const directory = path.join(this.scratch, `env-${this.envs++}`);
    mkdirSync(directory);
    return directory;
  }

  async close(): Promise<void> {
    await this.store.close();
    rmSync(this.scratch, { recursive: true });
  }
}

/** A name of the env. */
export interface OwnFile extends DirEntryRef {
  readonly ino: Ino;
  /** Where the directory is in the templates. */
  readonly path: string;
}

/** What happens while the kernel's caches are told of a step of a flip. */
type Between = () => Promise<void>;

/** One env, served by this process to a kernel that is a Vfs. */
export class LocalEnv {
  vfs!: Vfs;
  private readonly local: LocalStore;
  private directory: string;
  private versions: Stack = [1, 1];
  private fs!: EnvFileSystem;
  private delta!: EnvDelta;
  private between: Between = () => Promise.resolve();

  private constructor(local: LocalStore) {
    this.local = local;
    this.directory = local.newDirectory();
  }

  static async create(local: LocalStore): Promise<LocalEnv> {
    const env = new LocalEnv(local);
    await env.mount();
    return env;
  }

  private get lower(): LowerTree {
    return this.local.store.lowerTree(this.local.stack(this.versions));
  }

  private async mount(keeps = true): Promise<void> {
    const { objects } = this.local.store;
    this.delta = await openDelta(this.directory, { openObject: (id) => objects.open(id) });
    const caches: KernelCaches = {
      knowsWalkers: true,
      expireAttributes: () => Promise.resolve(),
      forget: () => Promise.resolve(),
      drop: () => this.between(),
    };
    this.fs = createFileSystem({
      lower: this.lower,
      delta: this.delta,
      blobs: this.delta.files,
      files: fileCalls,
      capabilities: {
        has: () => true,
        inGroup: () => true,
        makesName: () => false,
        revalidates: () => false,
      },
      passthrough: null,
      caches,
    });
    if (keeps) this.fs.keepDirs();
    if (this.delta.wasCutShort) this.fs.giveBackLeft(this.delta.files.list());
    this.vfs = new Vfs(this.fs);
  }

  async unmount(): Promise<void> {
    this.vfs.closeAll();
    this.fs.destroy();
    await this.delta.close();
  }

  private change(to: Stack): TreeDiff {
    return this.local.store.diffStacks(this.local.stack(this.versions), this.local.stack(to));
  }

  /** Goes to other versions while it is mounted; the errors of actions. */
  async flip(
    to: Stack,
    {
      between = () => Promise.resolve(),
      acts = [],
    }: { between?: Between; acts?: EnvAction[] } = {},
  ): Promise<number[]> {
    this.between = between;
    const outcome = await this.fs.flip(this.change(to), acts);
    this.versions = to;
    return outcome.acts.map(({ error }) => error);
  }

  /** Files of its own under names that are something else in other versions. */
  ownFiles(to: Stack): OwnFile[] {
    const found: OwnFile[] = [];
    for (const [dir, names] of this.change(to).byDir) {
      const path = dirPath(rawTables(this.local.store), dir)!.slice(1);
      for (const name of names.keys()) {
        const own = this.delta.name(dir, name);
        if (own === null || own.ino === 0 || isDir(own.type)) continue;
        found.push({ dir, name, ino: own.ino, path });
      }
    }
    return found;
  }

  /**
   * Mounts it again, at other versions; after a death, with what was on disk in that moment.
   * @param keeps false for one that is not for a kernel, but for actions: see src/manager/rollout/offline.ts
   */
  async remount(to: Stack = this.versions, { dies = false, keeps = true } = {}): Promise<void> {
    const before = this.directory;
    if (dies) {
      this.directory = this.local.newDirectory();
      cpSync(before, this.directory, { recursive: true });
    }
    await this.unmount();
    this.versions = to;
    if (dies) rmSync(before, { recursive: true });
    await this.mount(keeps);
  }

  /** What is wrong with what it keeps, a line each. */
  async problems(): Promise<string[]> {
    const view = await readDelta(this.directory);
    try {
      return problems(view, this.lower, path.join(this.directory, 'private'));
    } finally {
      await view.close();
    }
  }

  /** Another one, as this one would be at a version if its driver were killed now. */
  async heir(versions: Stack): Promise<LocalEnv> {
    const heir = new LocalEnv(this.local);
    cpSync(this.directory, heir.directory, { recursive: true });
    heir.versions = versions;
    await heir.mount();
    return heir;
  }

  async end(): Promise<void> {
    await this.unmount();
    rmSync(this.directory, { recursive: true });
  }
}
