import { failpoint } from '../../base/failpoints.ts';
import type { GoneFile, RefreshedEnv } from '../../ipc/protocol.ts';
import type { StackRef, Store } from '../../store/store.ts';
import type { LowerTree } from '../core/ports.ts';
import type { EnvAct } from '../core/set-aside.ts';
import type { EnvParts } from './env-parts.ts';
import type { ServedEnv } from './served-env.ts';

/** One env's way through this process: being mounted, served, being closed. */
export class LiveEnv {
  served: ServedEnv | null = null;
  ending = false;
  /** Resolves when this process has nothing of the env any more. */
  readonly closed: Promise<void>;
  becomeClosed!: () => void;
  /** Resolves when it is served, or will not be. */
  readonly settled: Promise<void>;
  becomeSettled!: () => void;
  private parts: EnvParts | null = null;
  /** The versions that it shows. */
  private stack: readonly StackRef[] = [];
  /** While it goes to them: those that it still shows, too. */
  private leaving: readonly StackRef[] | null = null;
  /** Which stack some layers are of, for what is in use of older ones. */
  private readonly stacks = new WeakMap<LowerTree, readonly StackRef[]>();
  private flips: Promise<unknown> = Promise.resolve();

  constructor() {
    this.closed = new Promise((resolve) => {
      this.becomeClosed = resolve;
    });
    this.settled = new Promise((resolve) => {
      this.becomeSettled = resolve;
    });
  }

  serve(parts: EnvParts, served: ServedEnv): void {
    this.parts = parts;
    this.served = served;
    this.stack = parts.stack;
    this.stacks.set(parts.layers, parts.stack);
  }

  /** What it would go through if its stack became what `next` makes of it: read now, so that it is known then. */
  prepare(store: Store, next: (stack: readonly StackRef[]) => readonly StackRef[]): void {
    const to = next(this.stack);
    if (sameStack(this.stack, to)) return;
    store.diffStacks(this.stack, to);
  }

  /** Goes to the versions that the store says; one at a time. Null if it is not served (any more). */
  refresh(store: Store, acts: readonly EnvAct[] = []): Promise<RefreshedEnv | null> {
    const done = this.flips.then(() => this.catchUp(store, acts));
    this.flips = done.catch(() => undefined);
    return done;
  }

  private async catchUp(store: Store, acts: readonly EnvAct[]): Promise<RefreshedEnv | null> {
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
    // What is said to be done to the env's own files is so after a power cut, too.
    if (acts.length > 0) await parts.delta.flush();
    failpoint('flip-end');
    return { env: row.id, flipped, ...outcome, busy: false, error: null };
  }

  /** Brings what it has written to disk: see EnvDelta.settle. */
  async settle(): Promise<void> {
    await this.parts?.delta.settle();
  }

  /** dpkg or apt is at work in it. Other versions of its files would come between what they read and what they write. */
  get isBusy(): boolean {
    return this.served?.fs.isOpenForWriting(DPKG_LOCKS) ?? false;
  }

  /** The versions that it shows, from the moment on that its delta is open: of two stacks while it goes from one to the other. */
  shown(): { env: number; stack: readonly StackRef[] }[] {
    if (this.parts === null) return [];
    const { id: env } = this.parts.row;
    const stacks = this.leaving === null ? [this.stack] : [this.leaving, this.stack];
    return stacks.map((stack) => ({ env, stack }));
  }

  /** What is in use of versions that it does not show any more. */
  gone(): GoneFile[] {
    const { served } = this;
    if (served === null) return [];
    return Array.from(served.fs.gone(), ({ record, layers }) => ({
      env: served.info.env,
      ino: record.ino,
      object: record.object,
      stack: this.stacks.get(layers) ?? [],
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

/** Open for writing while dpkg or apt holds them; the second one is the newer, which apt takes for all of its run. */
const DPKG_LOCKS = ['/var/lib/dpkg/lock', '/var/lib/dpkg/lock-frontend'];

const sameStack = (a: readonly StackRef[], b: readonly StackRef[]): boolean =>
  a.length === b.length &&
  a.every(({ templateId, version }, i) => {
    const other = b[i]!;
    return templateId === other.templateId && version === other.version;
  });
