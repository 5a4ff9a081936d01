import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import type { EnvMetrics, GoneFile, RefreshedEnv } from '../../ipc/protocol.ts';
import type { StackRef, Store } from '../../store/store.ts';
import type { DiskLimits, LowerTree } from '../core/ports.ts';
import type { EnvAction } from '../core/set-aside.ts';
import type { HeldDelta } from '../delta/env-delta.ts';
import { diskLimits, type EnvParts } from './env-parts.ts';
import type { ServedEnv } from './served-env.ts';

/** One env's life in this process: it is being mounted, served, or closed. */
export class LiveEnv {
  served: ServedEnv | null = null;
  ending = false;
  /** Resolves when this process has nothing of the env left. */
  readonly closed: Promise<void>;
  becomeClosed!: () => void;
  /** Resolves when the env is served, or is known not to be. */
  readonly opened: Promise<void>;
  becomeOpened!: () => void;
  private parts: EnvParts | null = null;
  /** The stack that it shows. */
  private stack: readonly StackRef[] = [];
  /** During a flip, the stack that it leaves but still shows too. */
  private leaving: readonly StackRef[] | null = null;
  /** The stack of each lower tree, for inodes in use that are of older versions. */
  private readonly stacks = new WeakMap<LowerTree, readonly StackRef[]>();
  private flips: Promise<unknown> = Promise.resolve();
  /** Stacks that it showed to another driver's requests: files of all of them may be in use. */
  private earlier: readonly (readonly StackRef[])[] = [];
  private limits: DiskLimits | null = null;
  private limiting: Promise<unknown> = Promise.resolve();

  constructor() {
    this.closed = new Promise((resolve) => {
      this.becomeClosed = resolve;
    });
    this.opened = new Promise((resolve) => {
      this.becomeOpened = resolve;
    });
  }

  serve(parts: EnvParts, served: ServedEnv): void {
    this.parts = parts;
    this.served = served;
    this.stack = parts.stack;
    this.limits = parts.diskLimits;
    this.stacks.set(parts.lower, parts.stack);
  }

  /** Says that programs may use files of these stacks, which another driver showed them. */
  showedBefore(earlier: ReadonlyMap<LowerTree, readonly StackRef[]>): void {
    this.earlier = [...earlier.values()];
    for (const [tree, stack] of earlier) this.stacks.set(tree, stack);
  }

  /**
   * Precomputes the difference to the next stack, so that the flip does not wait for it.
   * @param next returns the stack that follows a given one
   */
  prepare(store: Store, next: (stack: readonly StackRef[]) => readonly StackRef[]): void {
    const to = next(this.stack);
    if (sameStack(this.stack, to)) return;
    store.diffStacks(this.stack, to);
  }

  /**
   * Takes the env to the versions that the store has for it, and makes the actions; one flip at a time. Resolves to
   * null if it is not served.
   */
  refresh(store: Store, acts: readonly EnvAction[] = []): Promise<RefreshedEnv | null> {
    const done = this.flips.then(() => this.catchUp(store, acts));
    this.flips = done.catch(() => undefined);
    return done;
  }

  private async catchUp(store: Store, acts: readonly EnvAction[]): Promise<RefreshedEnv | null> {
    const { served, parts } = this;
    if (served === null || parts === null || this.ending) return null;
    store.refresh();
    const row = store.env(parts.row.id);
    // Destroyed meanwhile: it goes when it is unmounted.
    if (row === null) return null;
    const to = store.resolveStack(row);
    const flipped = !sameStack(this.stack, to);
    if (!flipped && acts.length === 0) return { env: row.id, flipped, ...NOTHING_MET };
    const isOfPackages = flipped || acts.some(({ what }) => what === 'steps');
    if (isOfPackages && this.isBusy) {
      return { env: row.id, flipped: false, ...NOTHING_MET, busy: true };
    }
    const change = store.diffStacks(this.stack, to);
    this.stacks.set(change.to, to);
    failpoint('flip-begin');
    this.leaving = this.stack;
    this.stack = to;
    const outcome = await served.fs.flip(change, acts);
    this.leaving = null;
    if (flipped) served.kept?.shows(to);
    // What is reported as done to the env's own files must survive a power cut, too.
    if (acts.length > 0) await parts.delta.flush();
    failpoint('flip-end');
    return { env: row.id, flipped, ...outcome, busy: false, error: null };
  }

  /** Bounds what it takes on disk as the store says now; one change at a time. */
  limitDisk(store: Store): Promise<void> {
    const done = this.limiting.then(() => this.applyLimits(store));
    this.limiting = done.catch(() => undefined);
    return done;
  }

  private async applyLimits(store: Store): Promise<void> {
    const { served, parts } = this;
    if (served === null || parts === null || this.ending) return;
    const { usage } = parts.delta.files;
    store.refresh();
    const next = diskLimits(store, parts.row.id);
    // What was written by passthrough since is not counted.
    if (next.bytes !== null && this.limits?.bytes === null) usage.stop();
    if (next.bytes !== null || next.inodes !== null) await usage.start();
    this.limits = next;
    served.fs.limitDisk(next);
  }

  /**
   * Keeps the env as it is until it is released, so that its delta can be copied: requests that change something wait, and so do flips and
   * checkpoints. Only what programs write to files that they have open goes on, in the kernel. Resolves to null if it is not served.
   * @throws ByrefError 'unsupported' if the transport can't, 'busy' if its delta can't be copied
   */
  async hold(): Promise<HeldDelta | null> {
    let end!: () => void;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const before = this.flips;
    this.flips = before.then(() => ended);
    await before;
    try {
      const held = await this.holdRequests();
      if (held === null) end();
      return held && { journal: held.journal, release: () => [held.release(), end()] };
    } catch (error) {
      end();
      throw error;
    }
  }

  private async holdRequests(): Promise<HeldDelta | null> {
    const { served, parts } = this;
    if (served === null || parts === null || this.ending) return null;
    const { name } = parts.row;
    if (served.hold === null) {
      const message = `${name} is mounted by fuse-native, which can't hold what changes it`;
      throw new ByrefError('unsupported', message, `Unmount it first: byref umount ${name}`);
    }
    const serveAgain = served.hold();
    try {
      const { journal, release } = await parts.delta.hold();
      return { journal, release: () => [release(), serveAgain()] };
    } catch (error) {
      serveAgain();
      const message = `the changes of ${name} can't be copied: ${(error as Error).message}`;
      throw new ByrefError('busy', message, `Unmount it, then see byref fsck ${name}.`);
    }
  }

  /** Puts what it has written on disk: see EnvDelta.quiesce. */
  async quiesce(): Promise<void> {
    await this.parts?.delta.quiesce();
  }

  /**
   * True if dpkg or apt is at work in it. A flip would then change files between their reading and their writing
   * them.
   */
  get isBusy(): boolean {
    return this.served?.fs.isOpenForWriting(DPKG_LOCKS) ?? false;
  }

  /** Returns the stacks that it shows, from the moment its delta is open: two during a flip, else one; and earlier ones. */
  shown(): { env: number; stack: readonly StackRef[] }[] {
    if (this.parts === null) return [];
    const { id: env } = this.parts.row;
    const stacks = this.leaving === null ? [this.stack] : [this.leaving, this.stack];
    return [...stacks, ...this.earlier].map((stack) => ({ env, stack }));
  }

  /** Returns its counters; null if it is not served, or its transport counts nothing. */
  metrics(): EnvMetrics | null {
    const stats = this.served?.stats() ?? null;
    if (stats === null || this.parts === null) return null;
    return {
      env: this.parts.row.id,
      operations: stats.times,
      copyUps: this.parts.delta.files.copies,
      pending: stats.pending,
      slow: stats.slow,
      faults: stats.faults,
    };
  }

  /** Returns inodes in use of versions that it no longer shows. */
  gone(): GoneFile[] {
    const { served } = this;
    if (served === null) return [];
    return Array.from(served.fs.gone(), ({ record, lower }) => ({
      env: served.info.env,
      ino: record.ino,
      object: record.object,
      stack: this.stacks.get(lower) ?? [],
    }));
  }
}

const NOTHING_MET = {
  own: 0,
  removed: 0,
  keptDirs: 0,
  acts: [],
  busy: false,
  error: null,
} as const;

/** Files that dpkg or apt hold open for writing. The second one is newer; apt holds it for all of its run. */
const DPKG_LOCKS = ['/var/lib/dpkg/lock', '/var/lib/dpkg/lock-frontend'];

const sameStack = (a: readonly StackRef[], b: readonly StackRef[]): boolean =>
  a.length === b.length &&
  a.every(({ templateId, version }, i) => {
    const other = b[i]!;
    return templateId === other.templateId && version === other.version;
  });
