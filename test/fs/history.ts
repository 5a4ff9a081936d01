/** A history done by an env and by the reference, which must say the same. */
import { expect } from 'vitest';
import { PERM_MASK } from '../../src/base/mode.ts';
import { shownXattrs } from '../model/acl.ts';
import { applyToReference } from '../model/apply.ts';
import { isDirectory, type RefNode } from '../model/node.ts';
import type { Operation } from '../model/operation.ts';
import { Reference } from '../model/reference.ts';
import type { Stack } from '../model/templates.ts';
import type { LocalEnv } from '../support/fuse/local-env.ts';
import type { Seen } from '../support/fuse/vfs.ts';

export const describe = (step: object): string => JSON.stringify(step).slice(0, 200);

interface OwnPlace {
  readonly dir: RefNode;
  readonly name: string;
}

/** A reference in which an open for writing that writes nothing leaves nothing. */
class OpeningReference extends Reference {
  /** Files that are the env's own by an open alone, with the names that came with it. */
  private readonly opened = new Map<RefNode, readonly OwnPlace[]>();
  private opens = false;

  /** Does a step that opens a file for writing, and no more. */
  opening<T>(step: () => T): T {
    this.opens = true;
    try {
      return step();
    } finally {
      this.opens = false;
    }
  }

  override change(node: RefNode): void {
    const { own, written } = node;
    if (!this.opens) this.opened.delete(node);
    const free = [...this['parents']()].flatMap((dir) =>
      [...dir.entries]
        .filter(([name, there]) => there === node && !dir.ownNames.has(name))
        .map(([name]) => ({ dir, name })),
    );
    super.change(node);
    if (!this.opens || isDirectory(node)) return;
    if (!own) this.opened.set(node, free);
    // It has attributes of the env's, which stay.
    else if (!written && node.base !== null && !this.opened.has(node)) this.opened.set(node, []);
  }

  /** The driver dies in the step: a LocalEnv goes on with files of other times then, which so are the env's own. */
  dies = false;

  override flip(to: Stack, seen: boolean): void {
    if (!this.dies) this.giveBack();
    super.flip(to, seen);
  }

  /** The files that nobody has open for writing any more. */
  giveBack(): void {
    for (const [node, places] of this.opened) {
      if ([...this.slots.values()].some((slot) => slot.node === node && slot.writable)) continue;
      this.opened.delete(node);
      if (!this.canGoBack(node, places)) continue;
      for (const { dir, name } of places) dir.ownNames.delete(name);
      if (places.length > 0) node.own = false;
      node.written = false;
      super.flip(this.stack, true);
    }
  }

  private canGoBack(node: RefNode, places: readonly OwnPlace[]): boolean {
    if (!places.every(({ dir, name }) => dir.ownNames.has(name) && dir.entries.get(name) === node))
      return false;
    if (this.dies) return false;
    const there = places.map(({ dir, name }) => this['shows'](dir, name));
    if (there.every((each) => each === node)) return true;
    if (there.includes(node) || this['isOpen'](node)) return false;
    const dirs = new Set(this['templates'].directories(this.stack));
    const isHere = (dir: RefNode): boolean => dir === this.root || dirs.has(dir);
    return there.every((each, i) =>
      each === undefined ? isHere(places[i]!.dir) : !isDirectory(each) && !this['isElse'](each),
    );
  }
}

/** They close first what the slot has. */
const OPENS: ReadonlySet<Operation['op']> = new Set(['open', 'openRead', 'openDir']);

/** An env, and what it should be. */
export class Pair {
  readonly ref = new OpeningReference();
  private readonly env: LocalEnv;
  private readonly inos = new Map<unknown, number>();

  constructor(env: LocalEnv) {
    this.env = env;
  }

  async do(step: Operation): Promise<void> {
    const { env, ref } = this;
    if (OPENS.has(step.op) && 'slot' in step && ref.slots.delete(step.slot)) ref.giveBack();
    ref.dies = step.op === 'kill' || (step.op === 'flip' && step.env === 'dead');
    // What writes no byte does not write.
    const opens =
      step.op === 'open' ||
      ('text' in step && step.text === '' && step.op !== 'create' && step.op !== 'rewrite');
    const expected = opens
      ? ref.opening(() => applyToReference(ref, step))
      : applyToReference(ref, step);
    ref.giveBack();
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
      const { kind, mode, uid, gid, target, content } = node;
      all.push({
        path,
        kind,
        mode,
        uid,
        gid,
        nlink: this.ref.nlink(node),
        content: kind === 'symlink' ? target : content.toString(),
        xattrs: shownXattrs(node),
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
