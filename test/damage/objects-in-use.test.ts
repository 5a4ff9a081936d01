/** Objects that are damaged while envs use them: the file gives EIO, the rest goes on, and a repair is seen at once. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { FsckResult } from '../../src/manager/upkeep/fsck/report.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const LARGE = 'large\n'.repeat(100_000);

let root: TestRoot;
let source: string;
beforeEach(async () => {
  root = await TestRoot.create();
  source = root.directory('source');
  fs.mkdirSync(path.join(source, 'usr'));
  for (const name of ['one', 'two', 'sound'])
    fs.writeFileSync(path.join(source, 'usr', name), `${name}\n`);
  fs.writeFileSync(path.join(source, 'usr/large'), LARGE);
  await root.import('os', source);
  await root.create('web', 'os');
});
afterEach(() => root.dispose());

const idOf = (content: string): string => createHash('sha256').update(content).digest('hex');
const objectOf = (content: string): string => {
  const id = idOf(content);
  return path.join(root.path, 'objects', id.slice(0, 2), id.slice(2));
};

/** Gives an object other bytes, in the same file. */
function spoil(content: string, bytes: string): void {
  fs.writeFileSync(objectOf(content), bytes);
}

const logged = (): string => {
  const run = root.env['BYREF_RUN']!;
  return fs.readFileSync(path.join(run, fs.readdirSync(run)[0]!, 'shard-0.log'), 'utf8');
};

describe.each([
  ['with passthrough', []],
  ['without', ['--no-passthrough']],
])('%s', (_, options) => {
  test.each([
    ['is missing', (content: string) => fs.rmSync(objectOf(content))],
    ['is shorter', (content: string) => fs.truncateSync(objectOf(content), 2)],
    ['is longer', (content: string) => fs.appendFileSync(objectOf(content), 'x')],
    [
      'is a directory',
      (content: string) => {
        fs.rmSync(objectOf(content));
        fs.mkdirSync(objectOf(content));
      },
    ],
  ])(
    'a file whose object %s gives EIO, to readers and writers, and nothing else does',
    async (_how, harm) => {
      harm('one\n');
      harm(LARGE);
      const env = await root.mount('web', ...options);
      const { stdout } = await sh(
        `for f in one large; do
         cat usr/$f 2>&1 >/dev/null || :; (echo more >>usr/$f) 2>&1 || :; stat --format %s usr/$f
       done
       cat usr/one 2>&1 | head -c 100; cat usr/two usr/sound; echo more >>usr/sound; tail -n 1 usr/sound; ls usr`,
        [],
        { cwd: env },
      );
      expect(stdout.replaceAll(/.*: (usr.*): Input\/output error/g, '$1: EIO')).toBe(
        [
          ...['usr/one: EIO', 'usr/one: EIO', '4', 'usr/large: EIO', 'usr/large: EIO', '600000'],
          ...['usr/one: EIO', 'two', 'sound', 'more', 'large', 'one', 'sound', 'two', ''],
        ].join('\n'),
      );
      const lines = logged().split('\n');
      for (const content of ['one\n', LARGE]) {
        const told = lines.filter((line) => line.includes(`"object":"${idOf(content)}"`));
        expect(told).toHaveLength(1);
        expect(told[0]).toContain('"name":"web"');
      }
    },
  );
});

test.each([
  ['with passthrough', []],
  ['without', ['--no-passthrough']],
])(
  '%s, fsck --repair takes the bytes from a file of an env, and running envs see them',
  async (_, options) => {
    await root.create('other', 'os');
    const env = await root.mount('web', ...options);
    const other = await root.mount('other', ...options);
    await sh('cp usr/one usr/copy; cp usr/two usr/copy2; touch usr/large', [], { cwd: other });
    const read = async (): Promise<string> =>
      (await sh('cat usr/one usr/two 2>&1', [], { cwd: env })).stdout;
    expect(await read()).toBe('one\ntwo\n');
    spoil('one\n', 'ONE\n');
    fs.rmSync(objectOf('two\n'));
    const found = await root.byref('fsck', '--full');
    expect(found.code).toBe(EXIT.corrupt);
    expect(found.stdout).toMatch(
      /its file has other bytes; needed by os@1 \/usr\/one; seen by env web, other.*--repair replaces it by the same bytes, which env other has/,
    );
    const { code, stdout } = await root.byref('fsck', '--full', '--repair');
    expect(code, stdout).toBe(EXIT.ok);
    expect(await read()).toBe('one\ntwo\n');
    expect(fs.readFileSync(objectOf('one\n'), 'latin1')).toBe('one\n');
    expect(fs.statSync(objectOf('two\n')).mode & 0o7777).toBe(0o400);
    expect(await root.findings()).toEqual([]);
  },
);

test('a repair says which envs go on reading the old file, and they see the new one when it is closed', async () => {
  await root.create('other', 'os');
  const env = await root.mount('web');
  const other = await root.mount('other');
  await sh('cp usr/one usr/copy', [], { cwd: other });
  const held = root.background(
    'exec 3<"$1/usr/one"; : >"$2"; sleep 1000',
    env,
    path.join(root.base, 'open'),
  );
  await expect.poll(() => fs.existsSync(path.join(root.base, 'open'))).toBe(true);
  spoil('one\n', 'ONE\n');
  const { stdout } = await root.byref('fsck', '--full', '--repair', '--json');
  expect((JSON.parse(stdout) as FsckResult).oldReaders).toEqual([{ env: 'web', files: 1 }]);
  process.kill(-held.pid!, 'SIGKILL');
  await expect.poll(async () => (await sh('cat usr/one', [], { cwd: env })).stdout).toBe('one\n');
});

test('an import of the same tree writes objects anew that are damaged or missing', async () => {
  const env = await root.mount('web');
  const read = async (): Promise<string> =>
    (await sh('cat usr/one usr/two 2>&1; tail -c 6 usr/large', [], { cwd: env })).stdout;
  expect(await read()).toBe('one\ntwo\nlarge\n');
  spoil('one\n', 'ONE\n');
  spoil(LARGE, LARGE.toUpperCase());
  fs.rmSync(objectOf('two\n'));
  await root.import('os', source);
  expect(await root.findings()).toEqual([]);
  expect(await read()).toBe('one\ntwo\nlarge\n');
});
