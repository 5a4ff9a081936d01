/** Damaged objects whose bytes no env has come back from the package repository that the template's apt knows. */
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { RootScrubbed } from '../../src/services/scrub-root.ts';
import { BYREF } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { writeBuiltSystem } from '../support/packages/built-system.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

const FILE = 'usr/bin/env';

let systems: TinySystems;
let root: TestRoot;
let bytes: Buffer;

beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  root = await TestRoot.create();
  const archive = path.join(root.base, 'system.tar');
  await writeBuiltSystem(systems, archive);
  await root.import('tiny', archive);
  await root.create('web', 'tiny');
  bytes = fs.readFileSync(path.join(await root.mount('web'), FILE));
  await root.umount();
});
afterEach(() => root.dispose());

/** The files of objects, largest first. */
function objectWith(content: Buffer): string {
  const objects = path.join(root.path, 'objects');
  const files = fs.readdirSync(objects, { recursive: true, encoding: 'utf8' });
  const file = files.find((each) => {
    const at = path.join(objects, each);
    return fs.statSync(at).isFile() && fs.readFileSync(at).equals(content);
  });
  return path.join(objects, file!);
}

async function scrub(...options: string[]): Promise<RootScrubbed & { readonly code: number }> {
  const { code, stdout, stderr } = await root.byref('scrub', '--rate', '0', '--json', ...options);
  expect(stdout, stderr).not.toBe('');
  return { ...(JSON.parse(stdout) as RootScrubbed), code };
}

test('scrub --repair fetches the package in its version, and takes what has the right bytes', async () => {
  const object = objectWith(bytes);
  fs.writeFileSync(object, Buffer.alloc(bytes.length, 'x'));
  const { damaged } = await scrub();
  expect(damaged).toMatchObject([
    {
      repaired: false,
      remedy: expect.stringMatching(/fetches it from the package repository \(\S+ \S+\)/),
    },
  ]);
  const repaired = await scrub('--repair');
  expect(repaired.damaged).toMatchObject([{ repaired: true }]);
  expect(repaired.code).toBe(EXIT.ok);
  expect(fs.readFileSync(object).equals(bytes)).toBe(true);
  expect(fs.readFileSync(path.join(await root.mount('web'), FILE)).equals(bytes)).toBe(true);
});

test('fsck --repair does the same with one that is missing', async () => {
  const object = objectWith(bytes);
  fs.rmSync(object);
  await root.ok('fsck', '--repair');
  expect(fs.readFileSync(object).equals(bytes)).toBe(true);
  expect(await root.findings()).toEqual([]);
});

test('where the repository does not have it any more, or does not answer, that is said, and what to do', async () => {
  const object = objectWith(bytes);
  fs.writeFileSync(object, Buffer.alloc(bytes.length, 'x'));
  const away = path.join(systems.base, 'away');
  fs.renameSync(systems.repo.root, away);
  try {
    const { damaged, code } = await scrub('--repair');
    expect(code).toBe(EXIT.corrupt);
    expect(damaged).toMatchObject([
      {
        repaired: false,
        remedy: expect.stringMatching(
          /import the source of tiny@1 again .*the package repository has it not: apt-get update: /,
        ),
      },
    ]);
  } finally {
    fs.renameSync(away, systems.repo.root);
  }
});

test('others write to the root while packages are fetched', async () => {
  fs.rmSync(objectWith(bytes));
  const said = path.join(root.base, 'said');
  const env = withApt(`"${BYREF}" create during --os tiny --wait 0 >"${said}" 2>&1`);
  const { code, stdout, stderr } = await root.run(['fsck', '--repair'], { env });
  expect(code, stdout + stderr).toBe(EXIT.ok);
  expect(fs.readFileSync(said, 'utf8')).toContain('created during');
  expect(await root.findings()).toEqual([]);
});

test('what a repair has fetched that is killed goes with the next one, and with gc', async () => {
  const object = objectWith(bytes);
  const left = (): string[] => fs.readdirSync(root.tmp).filter((name) => /packages/.test(name));
  const killed = { env: withApt('kill -KILL $PPID') };
  for (const next of [['gc'], ['fsck', '--repair']]) {
    fs.rmSync(object, { force: true });
    await root.run(['fsck', '--repair'], killed);
    expect(left()).toHaveLength(1);
    await root.ok(...next);
    expect(left()).toEqual([]);
  }
  expect(fs.readFileSync(object).equals(bytes)).toBe(true);
});

/** Returns an environment in which something is done before apt updates its lists. */
function withApt(script: string): NodeJS.ProcessEnv {
  const bin = root.directory('bin');
  const named = ['BYREF_ROOT', 'BYREF_RUN'].map((name) => `${name}='${root.env[name]}'`).join(' ');
  const words = `#!/bin/sh\nexport ${named}\n[ "$1" != update ] || ${script}\nexec /usr/bin/apt-get "$@"\n`;
  fs.writeFileSync(path.join(bin, 'apt-get'), words, { mode: 0o755 });
  return { ...root.env, PATH: `${bin}:${process.env['PATH']}` };
}
