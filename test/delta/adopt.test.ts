/**
 * Random histories, cut at a moment when the journal on disk is that of the last flush, and the private files are those
 * of the end: what recovery makes of it is a sound tree, in which every file is found that is there.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Ino, isPrivateIno, ROOT_INO } from '../../src/base/ids.ts';
import { isDir, S_IFDIR, S_IFREG } from '../../src/base/mode.ts';
import { DATA_PRIVATE } from '../../src/codec/inode-record.ts';
import type { DirEntryRef } from '../../src/driver/core/ports.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { readDelta } from '../../src/driver/delta/read-delta.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { inode, name, open } from './open-env.ts';

type Step =
  | { readonly op: 'mkdir' | 'create'; readonly dir: number; readonly name: string }
  | { readonly op: 'rename'; readonly file: number; readonly dir: number; readonly name: string }
  | { readonly op: 'unlink' | 'chmod'; readonly file: number }
  | { readonly op: 'flush' };

const dir = fc.nat(3);
const file = fc.nat(5);
const names = fc.constantFrom('a', 'b', 'c', 'n'.repeat(80));
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('mkdir' as const), dir, name: names }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('create' as const), dir, name: names }) },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('rename' as const), file, dir, name: names }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unlink' as const), file }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('chmod' as const), file }) },
  { weight: 3, arbitrary: fc.constant({ op: 'flush' as const }) },
) satisfies fc.Arbitrary<Step>;

/** Makes the changes that the filesystem core would make. */
class Writer {
  readonly files = new Map<Ino, DirEntryRef>();
  private readonly dirs: Ino[] = [ROOT_INO];
  readonly delta: EnvDelta;

  constructor(delta: EnvDelta) {
    this.delta = delta;
  }

  do(step: Exclude<Step, { op: 'flush' }>): void {
    if (!('file' in step)) {
      const parent = this.dirAt(step.dir);
      if (step.op === 'mkdir') this.mkdir(parent, step.name);
      else this.create(parent, step.name);
    } else {
      const ino = [...this.files.keys()][step.file % Math.max(1, this.files.size)];
      if (ino === undefined) return;
      if (step.op === 'rename') this.rename(ino, this.dirAt(step.dir), step.name);
      else if (step.op === 'unlink') this.unlink(ino);
      else this.chmod(ino);
    }
  }

  private dirAt(index: number): Ino {
    return this.dirs[index % this.dirs.length]!;
  }

  private mkdir(parent: Ino, text: string): void {
    const { delta } = this;
    if (delta.name(parent, name(text))?.ino) return;
    const ino = delta.allocate();
    const change = delta.begin();
    change.setName(parent, name(text), ino, S_IFDIR);
    change.setInode(inode(ino, { mode: S_IFDIR | 0o755, nlink: 2, parent, name: name(text) }));
    const above = delta.inode(parent);
    if (above !== null) change.setInode({ ...above, nlink: above.nlink + 1 });
    expect(delta.commit()).toBe(0);
    this.dirs.push(ino);
  }

  private create(parent: Ino, text: string): void {
    const { delta } = this;
    if (delta.name(parent, name(text))?.ino) return;
    const ino = delta.allocate();
    delta.files.close(delta.files.createPrivate(ino));
    const place = { dir: parent, name: name(text) };
    const record = inode(ino, { data: DATA_PRIVATE, mode: S_IFREG | 0o644 });
    delta.tagPrivate(record, [place]);
    const change = delta.begin();
    change.setName(parent, place.name, ino, S_IFREG);
    change.setInode(record);
    expect(delta.commit()).toBe(0);
    this.files.set(ino, place);
  }

  private rename(ino: Ino, to: Ino, text: string): void {
    const { delta } = this;
    const there = delta.name(to, name(text))?.ino ?? 0;
    if (there === ino || (there !== 0 && isDir(delta.inode(there)!.mode))) return;
    const from = this.files.get(ino)!;
    const change = delta.begin();
    if (there !== 0) change.setInode({ ...delta.inode(there)!, nlink: 0 });
    change.setInode(delta.inode(ino)!);
    change.clearName(from.dir, from.name);
    change.setName(to, name(text), ino, S_IFREG);
    expect(delta.commit()).toBe(0);
    this.files.set(ino, { dir: to, name: name(text) });
    if (there !== 0) this.end(there);
  }

  private unlink(ino: Ino): void {
    const { dir: parent, name: text } = this.files.get(ino)!;
    const change = this.delta.begin();
    change.setInode({ ...this.delta.inode(ino)!, nlink: 0 });
    change.clearName(parent, text);
    expect(this.delta.commit()).toBe(0);
    this.end(ino);
  }

  private end(ino: Ino): void {
    this.files.delete(ino);
    this.delta.begin().clearInode(ino);
    expect(this.delta.commit()).toBe(0);
    this.delta.files.removePrivate(ino);
  }

  private chmod(ino: Ino): void {
    const record = this.delta.inode(ino)!;
    this.delta.begin().setInode({ ...record, mode: record.mode ^ 0o111 });
    expect(this.delta.commit()).toBe(0);
  }
}

/** The journal's files by name. */
const journalOf = (at: string): Map<string, Buffer> =>
  new Map(
    readdirSync(at)
      .filter((entry) => entry.startsWith('journal.'))
      .map((entry) => [entry, readFileSync(path.join(at, entry))]),
  );

async function expectSound(at: string, files: readonly Ino[]): Promise<void> {
  const view = await readDelta(at);
  const links = new Map<Ino, number>();
  const subdirs = new Map<Ino, number>();
  for (const { dir: parent, ino } of view.changedNames()) {
    if (ino === 0) continue;
    const record = view.inode(ino);
    expect(record, `a name leads to ${ino}`).not.toBeNull();
    if (isPrivateIno(parent)) expect(view.inode(parent)?.nlink, 'its directory').toBeGreaterThan(1);
    links.set(ino, (links.get(ino) ?? 0) + 1);
    if (isDir(record!.mode)) subdirs.set(parent, (subdirs.get(parent) ?? 0) + 1);
  }
  for (const record of view.inodes()) {
    if (isDir(record.mode)) expect(record.nlink).toBe(2 + (subdirs.get(record.ino) ?? 0));
    else expect(record.nlink, `names of ${record.ino}`).toBe(links.get(record.ino) ?? 0);
  }
  for (const ino of files) expect(links.get(ino), `file ${ino} is found`).toBe(1);
  await view.close();
}

test('after a power cut every private file is found in a sound tree', {
  timeout: 120_000,
}, async () => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: 40 }),
    async (steps) => {
      const scratch = newDir();
      const [at, after] = [path.join(scratch, 'env'), path.join(scratch, 'after')];
      mkdirSync(at);
      const delta = await open(at);
      try {
        const writer = new Writer(delta);
        let journal = new Map<string, Buffer>();
        let durable = new Set<Ino>();
        for (const one of steps) {
          if (one.op !== 'flush') writer.do(one);
          else {
            expect(await delta.flush()).toBe(0);
            journal = journalOf(at);
            durable = new Set(writer.files.keys());
          }
        }
        execFileSync('cp', ['-a', at, after]);
        for (const entry of journalOf(after).keys()) rmSync(path.join(after, entry));
        for (const [entry, bytes] of journal) writeFileSync(path.join(after, entry), bytes);
        process.env['BYREF_BOOT_ID'] = 'b'.repeat(32);
        const recovered = await open(after);
        const found = [...writer.files.keys()];
        for (const ino of found.filter((own) => !durable.has(own))) {
          expect(recovered.inode(ino)?.mode, 'the mode of the end').toBe(delta.inode(ino)!.mode);
        }
        await recovered.close();
        await expectSound(after, found);
      } finally {
        delete process.env['BYREF_BOOT_ID'];
        await delta.close();
        removeDir(scratch);
      }
    },
  );
  await fc.assert(property, propertyRuns(100));
});
