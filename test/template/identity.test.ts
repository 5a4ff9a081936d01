/** The identity of a version is equal wherever the same tree was added, and another one after any change of it. */
import {
  chmodSync,
  chownSync,
  cpSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TemplateDetails } from '../../src/services/show-template.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { setXattr } from '../syscalls/index.ts';

const DAY = 1_700_000_000;

let roots: TestRoot[];
beforeAll(async () => {
  roots = [await TestRoot.create(), await TestRoot.create()];
});
afterAll(async () => {
  for (const root of roots) await root.dispose();
});

function makeTree(dir: string): void {
  mkdirSync(path.join(dir, 'usr/bin'), { recursive: true });
  mkdirSync(path.join(dir, 'empty'));
  writeFileSync(path.join(dir, 'usr/bin/program'), 'a program\n', { mode: 0o755 });
  linkSync(path.join(dir, 'usr/bin/program'), path.join(dir, 'usr/bin/alias'));
  writeFileSync(path.join(dir, 'usr/none'), '');
  symlinkSync('bin/program', path.join(dir, 'usr/link'));
  setXattr(path.join(dir, 'usr/none'), 'user.one', '1');
  settle(dir);
}

/** Gives all names of the tree one time, so that only what a test changes differs. */
function settle(dir: string): void {
  for (const name of ['usr/bin/program', 'usr/none', 'usr/link', 'usr/bin', 'usr', 'empty', '.'])
    lutimesSync(path.join(dir, name), DAY, DAY);
}

/** The identity of the newest version. */
async function identityIn(root: TestRoot, template: string): Promise<string> {
  const { versions } = await root.json<TemplateDetails>('template', 'show', template);
  const { identity } = versions.at(-1)!;
  if (identity === null) throw new Error(`${template} has no identity`);
  expect(identity).toMatch(/^[0-9a-f]{64}$/);
  return identity;
}

test('is the same in another store, after other versions, from a directory, an archive or an export', async () => {
  const [one, other] = roots as [TestRoot, TestRoot];
  const tree = path.join(one.base, 'tree');
  makeTree(tree);
  await one.ok('template', 'import', 'os', tree);
  const identity = await identityIn(one, 'os');
  const tar = path.join(one.base, 'tree.tar');
  await sh('tar -C "$1" --xattrs -cf "$2" .', [tree, tar]);
  const before = other.directory('before');
  writeFileSync(path.join(before, 'file'), 'something else\n');
  await other.ok('template', 'import', 'os', before);
  await other.ok('template', 'import', 'os', tar);
  expect(await identityIn(other, 'os')).toBe(identity);
  const exported = path.join(one.base, 'exported.tar');
  await one.ok('template', 'export', 'os', exported);
  await other.ok('template', 'import', 'again', exported);
  expect(await identityIn(other, 'again')).toBe(identity);
  for (const root of roots) expect(await root.findings()).toEqual([]);
});

type Change = (at: (name: string) => string) => void;
const CHANGES: Readonly<Record<string, Change>> = {
  'one byte': (at) => writeFileSync(at('usr/bin/program'), 'b program\n'),
  'a mode': (at) => chmodSync(at('usr/bin/program'), 0o700),
  'an owner': (at) => chownSync(at('empty'), 33, 0),
  'a time': (at) => lutimesSync(at('usr/none'), DAY, DAY + 1),
  'an extended attribute': (at) => setXattr(at('usr/none'), 'user.one', '2'),
  'the target of a symlink': (at) => {
    rmSync(at('usr/link'));
    symlinkSync('bin/other', at('usr/link'));
  },
  'a name': (at) => {
    linkSync(at('usr/bin/alias'), at('usr/bin/alia5'));
    rmSync(at('usr/bin/alias'));
  },
  'a hard link that is a copy now': (at) => {
    rmSync(at('usr/bin/alias'));
    cpSync(at('usr/bin/program'), at('usr/bin/alias'), { preserveTimestamps: true });
  },
  'the mode of the root': (at) => chmodSync(at('.'), 0o711),
};

test('is another one after a change of a byte, an attribute, a name or a link, and the former one without it', async () => {
  const [root] = roots as [TestRoot];
  const seen = new Map<string, string>();
  const tree = path.join(root.base, 'changing');
  for (const [what, change] of [['nothing', () => undefined], ...Object.entries(CHANGES)] as [
    string,
    Change,
  ][]) {
    rmSync(tree, { recursive: true, force: true });
    makeTree(tree);
    change((name) => path.join(tree, name));
    if (what !== 'a time') settle(tree);
    await root.ok('template', 'import', 'changing', tree);
    const identity = await identityIn(root, 'changing');
    expect(seen.get(identity), what).toBeUndefined();
    seen.set(identity, what);
  }
  rmSync(tree, { recursive: true });
  makeTree(tree);
  await root.ok('template', 'import', 'changing', tree);
  expect(seen.get(await identityIn(root, 'changing'))).toBe('nothing');
});
