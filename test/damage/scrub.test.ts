/** `byref scrub`: what it finds, how it goes on, what it repairs, and that a daemon does it by itself. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { Operation } from '../../src/services/operation.ts';
import type { RootScrubbed } from '../../src/services/scrub-root.ts';
import { TestDaemon } from '../daemon/daemon-root.ts';
import { BYREF, sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const OBJECTS = 20;
const contentOf = (i: number): string => `${i}\n`.repeat(50_000);

let root: TestRoot;
let source: string;
beforeEach(async () => {
  root = await TestRoot.create();
  source = root.directory('source');
  fs.mkdirSync(path.join(source, 'usr'));
  for (let i = 0; i < OBJECTS; i++) {
    fs.writeFileSync(path.join(source, 'usr', `f${i}`), contentOf(i));
  }
  await root.import('os', source);
  await root.create('web', 'os');
});
afterEach(() => root.dispose());

const idOf = (i: number): string => createHash('sha256').update(contentOf(i)).digest('hex');
const objectOf = (i: number): string =>
  path.join(root.path, 'objects', idOf(i).slice(0, 2), idOf(i).slice(2));

/** Flips one bit in the middle of an object. */
function flip(i: number): void {
  const fd = fs.openSync(objectOf(i), 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(fd, byte, 0, 1, 777);
  byte[0]! ^= 4;
  fs.writeSync(fd, byte, 0, 1, 777);
  fs.closeSync(fd);
}

async function scrub(...options: string[]): Promise<RootScrubbed & { readonly code: number }> {
  const { code, stdout, stderr } = await root.byref('scrub', '--rate', '0', '--json', ...options);
  expect(stdout, stderr).not.toBe('');
  return { ...(JSON.parse(stdout) as RootScrubbed), code };
}

test('of a sound root, all objects are read, and none is damaged', async () => {
  const { code, read, round, damaged } = await scrub();
  expect(code).toBe(EXIT.ok);
  expect(damaged).toEqual([]);
  expect(read.objects).toBe(OBJECTS);
  expect(round).toMatchObject({ objects: OBJECTS, bytes: read.bytes });
  expect(round.ended).not.toBeNull();
  expect(await root.ok('scrub', '--rate', '1G')).toMatch(
    /^read 20 objects, .*: none is damaged\nThe round is complete: 20 objects/,
  );
});

test('a flipped bit, a short file and a missing one are named with templates, paths and envs', async () => {
  flip(1);
  fs.truncateSync(objectOf(2), 5);
  fs.rmSync(objectOf(3));
  const { code, damaged } = await scrub();
  expect(code).toBe(EXIT.corrupt);
  const wanted = [
    { i: 1, check: 'objects.content' },
    { i: 2, check: 'objects.size' },
    { i: 3, check: 'objects.missing' },
  ].map(({ i, check }) => ({
    object: idOf(i),
    check,
    names: [{ template: 'os', versions: '1', path: `/usr/f${i}` }],
    envs: ['web'],
    repaired: false,
  }));
  expect(damaged).toHaveLength(wanted.length);
  expect(damaged).toEqual(
    expect.arrayContaining(wanted.map((each) => expect.objectContaining(each) as unknown)),
  );
  const { stdout } = await root.byref('scrub', '--rate', '0');
  expect(stdout).toMatch(
    new RegExp(
      `error object ${idOf(1)}: its file has other bytes; needed by os@1 /usr/f1; seen by env web \\(`,
    ),
  );
  expect(stdout).toMatch(/3 damaged, 0 repaired/);
  // What brings the bytes into the store writes them anew.
  await root.import('os', source);
  expect(await scrub()).toMatchObject({ code: EXIT.ok, damaged: [] });
});

test('a run that is ended is gone on with by the next one, which says again what was found', async () => {
  const first = Math.min(
    ...Array.from({ length: OBJECTS }, (_, i) => Number.parseInt(idOf(i).slice(0, 8), 16)),
  );
  const smallest = Array.from({ length: OBJECTS }, (_, i) => i).find(
    (i) => Number.parseInt(idOf(i).slice(0, 8), 16) === first,
  )!;
  flip(smallest);
  // A file takes more than two seconds: it has read the first one when it says so, and is in the next.
  const child = spawn(BYREF, ['scrub', '--rate', '64KiB', '--json'], { env: root.env });
  let said = '';
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.includes('"files":2')) child.kill('SIGINT');
  });
  await new Promise((resolve) => child.once('close', resolve));
  const begun = JSON.parse(stdout) as RootScrubbed;
  expect(begun.round.ended).toBeNull();
  expect(begun.round.objects).toBeGreaterThan(0);
  expect(begun.round.objects).toBeLessThan(OBJECTS);
  expect(begun.damaged.map(({ object }) => object)).toEqual([idOf(smallest)]);
  const ended = await scrub();
  expect(ended.round.begun).toBe(begun.round.begun);
  expect(ended.round).toMatchObject({ objects: OBJECTS });
  // What is left of the round, and what is known to be damaged.
  expect(ended.read.objects).toBe(OBJECTS - begun.round.objects + 1);
  expect(ended.damaged.map(({ object }) => object)).toEqual([idOf(smallest)]);
  const again = await scrub();
  expect(again.round.begun).not.toBe(begun.round.begun);
  expect(again.read.objects).toBe(OBJECTS);
});

test('--repair takes the bytes from a file of an env, and running envs see them', async () => {
  await root.create('other', 'os');
  const env = await root.mount('web');
  await sh('cp usr/f1 usr/copy', [], { cwd: await root.mount('other') });
  const hash = async (): Promise<string> =>
    (await sh('sha256sum <usr/f1', [], { cwd: env })).stdout.slice(0, 64);
  expect(await hash()).toBe(idOf(1));
  flip(1);
  expect(await hash()).not.toBe(idOf(1));
  const { code, damaged } = await scrub('--repair');
  expect(code).toBe(EXIT.ok);
  expect(damaged).toEqual([expect.objectContaining({ object: idOf(1), repaired: true })]);
  expect(await hash()).toBe(idOf(1));
  expect(await scrub()).toMatchObject({ code: EXIT.ok, damaged: [] });
});

test('a file of which an env has changed only attributes is the env’s, too', async () => {
  await sh('chmod 600 usr/f4; mv usr/f4 usr/moved', [], { cwd: await root.mount('web') });
  await root.umount();
  fs.rmSync(path.join(source, 'usr/f4'));
  await root.import('os', source);
  await root.ok('patch', 'os');
  flip(4);
  const { damaged } = await scrub();
  expect(damaged.map(({ object, envs }) => ({ object, envs }))).toEqual([
    { object: idOf(4), envs: ['web'] },
  ]);
});

test('a daemon scrubs by itself, and its metrics say what was found; one that is not to does not', async () => {
  flip(5);
  const config = path.join(root.base, 'daemon.yaml');
  fs.writeFileSync(config, 'autostart: false\nscrub-every: never\n');
  const daemon = new TestDaemon(root);
  try {
    await daemon.start('--config', config);
    const operations = async (): Promise<Operation[]> =>
      JSON.parse((await daemon.ask('GET', '/v1/operations')).text) as Operation[];
    expect(await operations()).toEqual([]);
    await daemon.kill('SIGTERM');
    fs.writeFileSync(config, 'autostart: false\nscrub-every: 1s\nscrub-rate: 1GiB\n');
    await daemon.start('--config', config);
    const done = async (): Promise<number | null | undefined> =>
      (await operations()).find(({ words }) => words[0] === 'scrub' && words[2] === String(2 ** 30))
        ?.exitCode;
    await expect.poll(done, { timeout: 30_000 }).toBe(EXIT.corrupt);
    const { text } = await daemon.ask('GET', '/metrics');
    expect(text).toMatch(/^byref_damaged_objects 1$/m);
    expect(text).toMatch(/^byref_scrub_ended_seconds \d+/m);
    // Verbs that take long are operations of a daemon that runs.
    const { code, stdout } = await root.byref('scrub', '--rate', '0');
    expect(code, stdout).toBe(EXIT.corrupt);
    expect((await operations()).some(({ words }) => words.join(' ') === 'scrub --rate 0')).toBe(
      true,
    );
  } finally {
    await daemon.kill();
  }
});
