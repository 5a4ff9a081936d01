/** A history done by an env and by the reference, which must say the same. */
import { expect } from 'vitest';
import { PERM_MASK } from '../../src/base/mode.ts';
import { applyToReference } from '../model/apply.ts';
import type { Operation } from '../model/operation.ts';
import { Reference } from '../model/reference.ts';
import type { LocalEnv } from './local-env.ts';
import type { Seen } from './vfs.ts';

export const describe = (step: object): string => JSON.stringify(step).slice(0, 200);

/** An env, and what it should be. */
export class Pair {
  readonly ref = new Reference();
  private readonly env: LocalEnv;
  private readonly inos = new Map<unknown, number>();

  constructor(env: LocalEnv) {
    this.env = env;
  }

  async do(step: Operation): Promise<void> {
    const { env, ref } = this;
    const expected = applyToReference(ref, step);
    const seen = await env.vfs.do(step);
    // Which error it is, is the kernel's to say.
    const said = 'error' in expected ? 'error' : expected;
    expect('error' in seen ? 'error' : seen, describe(step)).toEqual(said);
    if (step.op === 'remount') await env.remount();
    if (step.op === 'kill') await env.remount(ref.stack, { dies: true });
    if (step.op === 'flip') {
      if (step.env === 'mounted') await env.flip(ref.stack);
      else await env.remount(ref.stack, { dies: step.env === 'dead' });
    }
    if (step.op === 'look' || step.op === 'flip') await this.compare();
  }

  async compare(): Promise<void> {
    expect(await this.env.problems()).toEqual([]);
    const seen = await this.env.vfs.visit();
    expect(seen.map(plain)).toEqual(this.expected(seen));
  }

  private expected(seen: readonly Seen[]): unknown[] {
    const real = new Map(seen.map((each) => [each.path, each]));
    const all: unknown[] = [];
    this.ref.visit((node, path) => {
      const { ino } = real.get(path)?.attr ?? {};
      if (ino !== undefined && !this.inos.has(node)) this.inos.set(node, ino);
      const { kind, mode, uid, gid, target, content, xattrs } = node;
      all.push({
        path,
        kind,
        mode,
        uid,
        gid,
        nlink: this.ref.nlink(node),
        content: kind === 'symlink' ? target : content.toString(),
        xattrs: [...xattrs].map((pair) => pair.join('=')).sort(),
        ino: this.inos.get(node),
      });
    });
    return all;
  }
}

const KINDS = new Map([
  [4, 'directory'],
  [8, 'file'],
  [10, 'symlink'],
]);

const plain = ({ path, attr, content, xattrs }: Seen) => ({
  path,
  kind: KINDS.get(attr.mode >> 12),
  mode: attr.mode & PERM_MASK,
  uid: attr.uid,
  gid: attr.gid,
  nlink: attr.nlink,
  content,
  xattrs,
  ino: attr.ino,
});
