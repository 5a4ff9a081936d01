import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { ObjectId } from '../../src/base/ids.ts';
import { addVersion } from '../../src/manager/templates/add-version.ts';
import { importTemplate, readArchive, templateFor } from '../../src/manager/templates/import.ts';
import { ObjectWriter } from '../../src/store/object-writer.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { runKilledAt } from '../support/damage/failpoints.ts';
import { HeldLock } from '../support/machine/held-lock.ts';
import { BYREF } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { RunningCommand } from '../support/machine/running-command.ts';
import { archive, file } from '../support/trees/tar-members.ts';

/** Versions and objects that several processes add, while others remove some. */
let root: TestRoot;
let store: Store;
beforeEach(async () => {
  root = await TestRoot.create();
  store = await openStore(root.path, { write: 'on-demand' });
});
afterEach(async () => {
  await store.close();
  await root.dispose();
});

const quiet = (): void => undefined;
const POLL = { timeout: 30_000, interval: 50 };

function tar(name: string, ...members: readonly Buffer[]): string {
  const at = path.join(root.base, name);
  writeFileSync(at, archive(...members));
  return at;
}

/** A version in this process; `meanwhile` runs when its objects are hashed, and none is in place. */
const add = (name: string, source: string, meanwhile: () => Promise<unknown>) =>
  addVersion(store, {
    template: () => templateFor(store, name, {}),
    async read(writer) {
      const tree = await readArchive(source, writer, quiet);
      await meanwhile();
      return tree;
    },
    describe: () => ({ label: '', note: '' }),
    onlyIfChanged: false,
    progress: quiet,
  });

async function expectSound(): Promise<void> {
  expect(await root.findings()).toEqual([]);
  expect(readdirSync(path.join(root.path, 'objects/tmp'))).toEqual([]);
}

const objects = (): string[] =>
  (readdirSync(store.objects.dir, { recursive: true }) as string[])
    .filter((name) => /^[0-9a-f]{2}\//.test(name))
    .sort();

test('objects that an import found stay, though the version that had them is removed', async () => {
  const source = tar('a.tar', file('a', 'shared'), file('b', 'common'));
  await root.ok('template', 'import', 'old', source);
  await add('new', source, async () => {
    expect(await root.ok('template', 'rm', 'old')).toContain(
      'freed 2 objects, 12 B: their files go when what is being stored just now is there',
    );
    await root.ok('gc');
  });
  expect(objects()).toHaveLength(2);
  await root.ok('template', 'rm', 'new');
  expect(objects()).toEqual([]);
  await expectSound();
});

test('objects that are in place and have no row yet are no garbage, until their process is gone', async () => {
  const writer = await ObjectWriter.begin(store.objects);
  let id = '' as ObjectId;
  await writer.addBytes(Buffer.from('not committed'), (found) => {
    id = found;
  });
  await writer.finish();
  await writer.publish();
  expect(await root.json('gc')).toMatchObject({ leftovers: [], freedObjects: 0 });
  expect(await root.findings()).toEqual([]);
  expect(existsSync(store.objects.path(id))).toBe(true);
  expect(await root.byref('fsck', '--repair', '--wait', '0')).toMatchObject({ code: EXIT.locked });
  expect(await writer.discard()).toBe(true);
  await root.ok('gc');
  expect(existsSync(store.objects.path(id))).toBe(false);
  await expectSound();
});

test('two that store the same object: the first file stays, and is there until both are done', async () => {
  const source = tar('a.tar', file('a', 'the same'));
  let other: Promise<unknown> = Promise.resolve();
  await add('one', source, async () => {
    await root.ok('template', 'import', 'two', source);
    other = Promise.resolve(objects());
  });
  expect(objects()).toEqual(await other);
  await root.ok('template', 'rm', 'two');
  expect(objects()).toHaveLength(1);
  await expectSound();
});

test('a version of a template that got another one meanwhile comes after it', async () => {
  const first = tar('1.tar', file('a', '1'));
  await add('t', tar('2.tar', file('a', '2')), () => root.ok('template', 'import', 't', first));
  const third = tar('3.tar', file('a', '3'));
  await add('t', tar('4.tar', file('a', '4')), async () => {
    await root.ok('template', 'import', 't', third);
    await root.ok('patch', 't');
  });
  const shown = await root.json<{ current: number; versions: { number: number }[] }>(
    'template',
    'show',
    't',
  );
  expect(shown.versions.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  // What was patched meanwhile stays so.
  expect(shown.current).toBe(3);
  await expectSound();
});

test('many imports of one new name at the same time: a version of each', async () => {
  const names = ['1', '2', '3', '4', '5'];
  const imports = names.map((name) =>
    root.ok('template', 'import', 't', tar(`${name}.tar`, file('a', name), file('b', 'b'))),
  );
  await Promise.all(imports);
  const { versions } = await root.json<{ versions: object[] }>('template', 'show', 't');
  expect(versions).toHaveLength(names.length);
  await expectSound();
});

test('an import that is killed beside another one: what it left goes when that has ended', async () => {
  await root.ok('template', 'import', 'known', tar('k.tar', file('a', 'known')));
  const before = objects();
  const source = tar('new.tar', file('a', 'known'), file('b', 'new 1'), file('c', 'new 2'));
  const left = new Set<number>();
  for (let n = 1; ; n++) {
    const beside = await ObjectWriter.begin(store.objects);
    const { code } = await runKilledAt(root, `*:${n}`, ['template', 'import', 'new', source]);
    await root.ok('gc');
    const isThere = (await root.byref('template', 'show', 'new')).code === 0;
    left.add(objects().length);
    await beside.finish();
    await beside.discard();
    await root.ok('gc');
    expect(objects()).toHaveLength(before.length + (isThere ? 2 : 0));
    await expectSound();
    if (isThere) await root.ok('template', 'rm', 'new');
    if (code === 0) break;
  }
  expect([...left].sort()).toEqual([1, 3]);
});

test('an import that is done waits for a writer, however long it may wait before it begins', async () => {
  await root.ok('template', 'import', 't', tar('1.tar', file('a', '1')));
  const lock = await HeldLock.take(root.path);
  const words = ['template', 'import', 't', tar('2.tar', file('a', '2')), '--wait', '0'];
  const waiting = new RunningCommand(BYREF, words, root.env);
  await expect
    .poll(() => waiting.stderr, POLL)
    .toContain(`byref: waiting for process ${lock.pid} (bash `);
  await lock.release();
  expect(await waiting.ended).toMatchObject({ code: 0 });
});

test('a patch waits for another one of the same template', async () => {
  await root.ok('template', 'import', 't', tar('1.tar', file('a', '1')));
  await root.ok('create', 'e', '--os', 't');
  await root.ok('template', 'import', 't', tar('2.tar', file('a', '2')));
  const stages = ['patch', 't', '--stages', '1,100%', '--pause', '1h'];
  const first = new RunningCommand(BYREF, stages, root.env);
  await expect.poll(() => first.stderr, POLL).toContain('waiting 3600 s');
  const refused = await root.byref('pin', 'e', 't', '--wait', '0');
  expect(refused).toMatchObject({ code: EXIT.locked });
  expect(refused.stderr).toContain(`process ${first.pid} (byref patch t --stages `);
  expect(refused.stderr).toContain('is patching t');
  const second = new RunningCommand(BYREF, ['patch', 't'], root.env);
  await expect.poll(() => second.stderr, POLL).toContain(`waiting for process ${first.pid} (byref`);
  // It takes its wave back; then the other one takes all there.
  process.kill(first.pid, 'SIGINT');
  expect(await first.ended).toMatchObject({ code: EXIT.unhealthy });
  expect(await second.ended).toMatchObject({ code: 0 });
  expect(await root.json('template', 'show', 't')).toMatchObject({ current: 2 });
});

test('a failed import beside another one leaves that one its objects', async () => {
  const source = tar('a.tar', file('a', 'mine'));
  await add('t', source, async () => {
    const broken = importTemplate(store, 'u', tar('b.tar', file('a', 'mine'), file('../b', 'x')));
    await expect(broken).rejects.toMatchObject({ code: 'badInput' });
  });
  expect(objects()).toHaveLength(1);
  await expectSound();
});
