/** The run directory: commands that are run as root trust what is in it, so it has to be theirs. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { RunDir } from '../../src/ipc/run-dir.ts';
import { TestRoot } from '../support/machine/root.ts';

const NOBODY = 65534;

let root: TestRoot;
let base: string;

beforeEach(async () => {
  root = await TestRoot.create();
  base = root.env['BYREF_RUN']!;
  await root.import('t', root.directory('source'));
  await root.create('one', 't');
});
afterEach(() => root.dispose());

/** The directory of the root in the run directory. */
const own = (): string => path.join(base, path.basename(new RunDir(root.path).path));

test.each<[what: string, make: () => void, said: string]>([
  ['that others can write to', () => chmodSync(base, 0o777), 'can be written to by other users'],
  ['of another user', () => chownSync(base, NOBODY, NOBODY), `belongs to user ${NOBODY}`],
  [
    'with a part that its group can write to',
    () => {
      mkdirSync(own());
      chmodSync(own(), 0o770);
    },
    'can be written to by other users',
  ],
  [
    'with a part that is a symlink',
    () => symlinkSync(root.directory('elsewhere'), own()),
    'is a symlink',
  ],
])('a run directory %s is refused, and nothing is made in it', async (_, make, said) => {
  make();
  const before = readdirSync(base);
  for (const words of [['mount', 'one'], ['list']]) {
    const { code, stderr } = await root.byref(...words);
    expect(`${code} ${stderr}`).toContain(`${EXIT.unsupported} byref: the run directory ${base}`);
    expect(stderr).toContain(said);
  }
  expect(readdirSync(base)).toEqual(before);
  chownSync(base, 0, 0);
  chmodSync(base, 0o700);
});

test.each(['shard-0.log', 'shard-0.lock', 'holder.log', 'holder.lock'])(
  'nothing is written through a symlink at %s',
  async (name) => {
    const precious = path.join(root.base, 'precious');
    writeFileSync(precious, 'precious\n');
    mkdirSync(own(), { mode: 0o700 });
    symlinkSync(precious, path.join(own(), name));
    const { code, stderr } = await root.byref('mount', 'one');
    expect(code).not.toBe(EXIT.ok);
    expect(stderr).toMatch(/^byref: .*\n/);
    expect(stderr).toContain('hint: ');
    expect(readFileSync(precious, 'utf8')).toBe('precious\n');
  },
);

test('a run directory that is made is closed to others, and so are those above it', async () => {
  const deep = path.join(base, 'a/b');
  await root.run(['mount', 'one'], { env: { ...root.env, BYREF_RUN: deep } });
  for (const directory of [path.dirname(deep), deep, path.join(deep, path.basename(own()))])
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  await root.run(['umount', 'one'], { env: { ...root.env, BYREF_RUN: deep } });
  expect(existsSync(deep)).toBe(true);
});
