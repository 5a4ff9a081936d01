import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { openStore } from '../../src/store/store.ts';
import { atEnd, scratchDir, scratchFile } from '../support/machine/scratch-dir.ts';
import { contents, objectFiles, scratchStore } from '../support/trees/scratch-store.ts';
import { archive, file } from '../support/trees/tar-members.ts';

const PROGRAM = path.join(import.meta.dirname, 'crash-import.ts');
const FILES = 2000;
let bytes: Buffer;
beforeAll(() => {
  const members = Array.from({ length: FILES }, (_, i) => file(`d${i % 50}/f${i}`, `new ${i}`));
  bytes = archive(file('a', 'known'), ...members);
});

/** A root with one template, closed, and what it holds. */
async function rootWithTemplate() {
  const root = path.join(scratchDir(), 'root');
  const store = await scratchStore(root);
  await importTemplate(store, 'known', scratchFile('a.tar', archive(file('a', 'known'))));
  const before = { objects: objectFiles(store), contents: contents(store, 'known') };
  await store.close();
  return { root, before };
}

function startImport(root: string, name: string, source: string, step: number) {
  const args = ['--import', 'tsx', PROGRAM, root, name, source, String(step)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** As the next command finds it: the import is whole or was never there. */
async function expectBeforeOrAfter(
  root: string,
  before: { objects: string[]; contents: Map<string, unknown> },
): Promise<boolean> {
  const store = await openStore(root, { write: true });
  try {
    const done = store.template('new') !== null;
    if (done) expect(contents(store, 'new').size).toBe(1 + 1 + 50 + FILES);
    else expect(objectFiles(store)).toEqual(before.objects);
    expect(contents(store, 'known')).toEqual(before.contents);
    return done;
  } finally {
    await store.close();
  }
}

it('an import killed at any step leaves the store as it was, or is whole', async () => {
  const source = scratchFile('new.tar', bytes);
  const phases: string[] = [];
  for (let step = 1; ; step++) {
    const { root, before } = await rootWithTemplate();
    const child = startImport(root, 'new', source, step);
    child.stdout.on('data', (line: Buffer) => phases.push(line.toString().trim()));
    const [, signal] = (await once(child, 'close')) as [number | null, string | null];
    const done = await expectBeforeOrAfter(root, before);
    if (signal === null) {
      expect(done).toBe(true);
      break;
    }
  }
  expect(new Set(phases)).toEqual(new Set(['read', 'store', 'commit']));
});

it('an import killed at any time leaves the store as it was, or is whole', async () => {
  const source = scratchFile('new.tar', bytes);
  for (let delay = 200; delay < 1000; delay += 80) {
    const { root, before } = await rootWithTemplate();
    const child = startImport(root, 'new', source, 0);
    const closed = once(child, 'close');
    await sleep(delay);
    child.kill('SIGKILL');
    await closed;
    await expectBeforeOrAfter(root, before);
  }
});

it('a device that is full half-way is a sentence, and the store is as before', async () => {
  const mount = path.join(scratchDir(), 'small');
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', mount]);
  atEnd(() => void execFileSync('umount', ['-l', mount]));
  const store = await scratchStore(mount);
  await importTemplate(store, 'known', scratchFile('a.tar', archive(file('a', 'known'))));
  const objects = objectFiles(store);
  const small = Array.from({ length: 6000 }, (_, i) => file(`f${i}`, `${i}`.padEnd(4000, 'x')));
  // Too much for: one object, many objects, the rows.
  const rows = Array.from({ length: 120_000 }, (_, i) => file(`empty-${i}`, ''));
  const big = file('big', Buffer.alloc(20 * 2 ** 20, 'x'));
  const sources = [archive(big), archive(...small), archive(file('some', 'x'), ...rows)];
  for (const source of sources) {
    const refusal = importTemplate(store, 'new', scratchFile('new.tar', source));
    await expect(refusal).rejects.toMatchObject({ code: 'noSpace' });
    expect(store.templates().map(({ name }) => name)).toEqual(['known']);
    expect(objectFiles(store)).toEqual(objects);
    expect(contents(store, 'known').get('a')?.size).toBe(5);
  }
});
