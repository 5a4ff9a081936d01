/** What patches set aside, and put back when they are taken back, in random histories. */
import fc from 'fast-check';
import { afterAll, beforeAll, test } from 'vitest';
import type { EnvAction } from '../../src/driver/core/set-aside.ts';
import type { RefNode } from '../model/node.ts';
import { type Operation, operation } from '../model/operation.ts';
import { LocalEnv, LocalStore, type OwnFile } from '../support/fuse/local-env.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { Pair } from './history.ts';

const RUNS = propertyRuns(40);
const STEPS_MAX = 40;
const TEST_MS = Math.max(60_000, RUNS.numRuns * 500);

const local = new LocalStore();
beforeAll(() => local.open());
afterAll(() => local.close());

/** The OS template goes up, which sets some of the env's files aside, or down, which puts them back. */
interface Patch {
  readonly op: 'patch';
  readonly to: number;
  /** Which of the env's files under changed names are set aside. */
  readonly takes: readonly number[];
  readonly env: 'mounted' | 'stopped';
}

const patch: fc.Arbitrary<Patch> = fc.record({
  op: fc.constant('patch'),
  to: fc.integer({ min: 1, max: 4 }),
  takes: fc.uniqueArray(fc.nat(9), { maxLength: 3 }),
  env: fc.constantFrom('mounted', 'mounted', 'stopped'),
});
const history = fc.array(
  fc.oneof<fc.MaybeWeightedArbitrary<Operation | Patch>[]>(
    { weight: 6, arbitrary: operation },
    patch,
  ),
  { minLength: 1, maxLength: STEPS_MAX, size: 'max' },
);

interface Saved {
  readonly file: OwnFile;
  readonly node: RefNode;
  readonly patch: number;
  readonly to: number;
}

class Patches {
  private readonly env: LocalEnv;
  private readonly pair: Pair;
  private saved: Saved[] = [];
  private count = 0;

  constructor(env: LocalEnv, pair: Pair) {
    this.env = env;
    this.pair = pair;
  }

  async do({ to, takes, env: state }: Patch): Promise<void> {
    const { ref } = this.pair;
    const [os, app] = ref.stack;
    if (state === 'stopped') {
      // What is open for writing alone is not the env's own after that.
      this.env.vfs.closeAll();
      ref.slots.clear();
      ref.giveBack();
    }
    this.saved = this.saved.filter(
      ({ file, node }) => !ref.settle(file.path, file.name, node, [to, app]),
    );
    const acts = to < os ? this.restores(to) : this.takes(to, takes);
    ref.flip([to, app], state === 'mounted');
    if (state === 'stopped') await this.env.remount([to, app], { keeps: false });
    await this.env.flip([to, app], { acts });
    if (state === 'stopped') await this.env.remount();
    await this.pair.compare();
  }

  private takes(to: number, picks: readonly number[]): EnvAction[] {
    const { ref } = this.pair;
    const files = this.env.ownFiles([to, ref.stack[1]]);
    const patch = ++this.count;
    return picks.flatMap((pick) => {
      const file = files[pick];
      if (file === undefined || !ref.canSetAside(file.path, file.name, [to, ref.stack[1]]))
        return [];
      const node = ref.setAside(file.path, file.name);
      this.saved.push({ file, node, patch, to });
      const { dir, name, ino } = file;
      return [{ what: 'take', patch, dir, name, ino, file: null, seen: null }];
    });
  }

  /** As `rollback` and `pin` do: what patches to versions above set aside, the last patch first. */
  private restores(to: number): EnvAction[] {
    const due = this.saved.filter((each) => each.to > to).reverse();
    return due.map((saved) => {
      const { dir, name, path } = saved.file;
      const { patch } = saved;
      if (this.pair.ref.putBack(path, name, saved.node)) {
        this.saved = this.saved.filter((each) => each !== saved);
      }
      return { what: 'restore', patch, dir, name, ino: 0, file: null, seen: null };
    });
  }
}

test('what is set aside comes back as it was', { timeout: TEST_MS }, () => {
  const property = fc.asyncProperty(history, async (steps) => {
    const env = await LocalEnv.create(local);
    try {
      const pair = new Pair(env);
      const patches = new Patches(env, pair);
      for (const step of steps) {
        if (step.op === 'patch') await patches.do(step);
        else await pair.do(step);
      }
      await pair.compare();
    } finally {
      await env.end();
    }
  });
  return fc.assert(property, RUNS);
});
