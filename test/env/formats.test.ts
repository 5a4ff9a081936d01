import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { accountNumber } from '../../src/store/accounts.ts';
import { rawTables } from '../../src/store/raw-tables.ts';
import { openStore } from '../../src/store/store.ts';
import { sh, TREE } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

/** Every on-disk format ever written stays as a fixture, and stays readable. */
let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
});
afterEach(() => root.dispose());

async function unpack(name: string): Promise<void> {
  const archive = path.join(TREE, 'fixtures', `${name}.tar.gz`);
  rmSync(root.path, { recursive: true });
  const unpacked = await sh('tar -C "$1" -xzf "$2"', [path.dirname(root.path), archive]);
  expect(unpacked.code, unpacked.stderr).toBe(0);
}

const mark = (): string => readFileSync(path.join(root.path, 'BYREF'), 'utf8');

/** What the script prints in an env. */
async function seen(env: string, script: string): Promise<string> {
  return (await sh(script, [], { cwd: path.join(root.path, 'mnt', env) })).stdout;
}

test('format 1: the template and the env are there; the first command makes it format 4', async () => {
  await unpack('root-format-1');
  const changes = 'C /\nA /d\nA /d/f\nC /etc\nD /etc/gone\nC /etc/kept\nA /moved\nD /usr\n';
  expect(mark()).toBe('byref root, format 1\n');
  await expect(openStore(root.path, { write: false })).rejects.toMatchObject({ code: 'badInput' });
  expect(mark(), 'reading upgrades nothing').toBe('byref root, format 1\n');
  expect(await root.ok('diff', 'one')).toBe(changes);
  expect(mark()).toBe('byref root, format 4\n');
  await root.ok('mount', 'one');
  const script = 'cat etc/kept d/f moved/lib2; stat -c %h moved/lib; ls etc';
  expect(await seen('one', script)).toBe('of the template\nmore\nnew\nlib\n2\nkept\nlink\n');
  expect(await root.json('fsck', '--full')).toMatchObject({ findings: [] });
});

test('format 2: versions, envs, pins, canaries, history and what was set aside are there, and go on', async () => {
  await unpack('root-format-2');
  const envs = ['keeps', 'follows', 'pinned', 'canary', 'stacked'];
  await root.ok('mount', ...envs);
  expect(await root.ok('list', '-H', '-o', 'name,os')).toBe(
    'keeps\tt\nfollows\tt\npinned\tt@1\ncanary\tt@3(canary)\nstacked\tt\n',
  );
  const states = (await root.ok('template', 'log', 't')).match(/staged|current|past/g);
  expect(states).toEqual(['staged', 'current', 'past']);
  const kinds = (await root.json<{ kind: string }[]>('history')).map(({ kind }) => kind);
  expect(kinds).toEqual(['patch', 'patch', 'rollback', 'patch', 'pin']);
  const of = (script: string): Promise<string[]> =>
    Promise.all(envs.map((env) => seen(env, script)));
  // The other name of a file of which the env moved one.
  expect(await of('cat usr/lib/a')).toEqual(['two\n', 'two\n', 'one\n', 'three\n', 'two\n']);
  expect(await seen('keeps', 'cat d/moved usr/lib/new; ls usr/lib')).toBe('one\nnew\na\nnew\n');
  expect(await seen('follows', 'tr -d "\\n" <etc/merged; cat etc/conf')).toBe(
    'AbcdEa\nb\nc\nd\nE\n',
  );
  expect(await seen('stacked', 'cat opt/app/bin')).toBe('app1\n');

  await root.ok('rollback', 't');
  expect(await of('cat usr/lib/a')).toEqual(['two\n', 'two\n', 'one\n', 'two\n', 'two\n']);
  await root.ok('rollback', 't');
  expect(await of('cat usr/lib/a')).toEqual(['one\n', 'one\n', 'one\n', 'one\n', 'one\n']);
  expect(await seen('follows', 'cat etc/conf; tr -d "\\n" <etc/merged')).toBe('private\nAbcde');
  await root.ok('patch', 't', '--to', '3');
  expect(await of('cat usr/lib/a')).toEqual(['three\n', 'three\n', 'one\n', 'three\n', 'three\n']);
  expect(await root.json('fsck', '--full')).toMatchObject({ findings: [] });
});

test.each([3, 4])(
  'format %i: bases, compositions, account numbers and what an env made of them are there, and go on',
  async (format) => {
    await unpack(`root-format-${format}`);
    expect(mark()).toBe(`byref root, format ${format}\n`);
    expect(await root.json('fsck', '--full')).toMatchObject({
      checked: { templates: 3, compositions: 3, envs: 3 },
      findings: [],
    });
    await root.ok('mount', 'alone', 'both', 'newer');
    const accounts = (env: string): Promise<string> =>
      seen(env, 'cut -d: -f1,3 etc/passwd | xargs');
    expect(await accounts('alone')).toBe('root:0 daemon:1 web:400\n');
    expect(await accounts('both')).toBe('root:0 web:400 db:401 me:1000 daemon:1\n');
    const own = 'cut -d: -f1,3 etc/group | xargs; stat -c %a etc/group; cat etc/mine usr/lib/b';
    expect(await seen('both', own)).toBe('root:0 web:400 db:401\n640\nmine\none\n');
    expect(await seen('newer', 'cat usr/lib/a opt/web/bin')).toBe('two\nweb\n');

    await root.ok('rollback', 'system');
    // As it was installed: nothing is composed for it.
    expect(await accounts('alone')).toBe('root:0 web:400\n');
    expect(await seen('both', 'cat usr/lib/b; ls usr/lib')).toBe('one\nb\n');
    const store = await openStore(root.path, { write: true });
    const number = (name: string): number =>
      accountNumber(rawTables(store), 'user', name, 'system', new Set());
    try {
      const [version] = store.versions(store.template('web')!.id);
      expect(version!.base).toEqual({ templateId: store.template('system')!.id, version: 1 });
      rawTables(store).transaction(() => {
        expect(['db', 'web', 'new'].map(number)).toEqual([401, 400, 402]);
      });
    } finally {
      await store.close();
    }
    expect(await root.json('fsck', '--full')).toMatchObject({ findings: [] });
  },
);

test('format 3 before attributes were told apart: what envs had only touched follows from the first mount on', async () => {
  await unpack('root-touched');
  // Of version 1 for good, as that build left it: one env was mounted when version 2 came, the other was not.
  await root.ok('mount', 'one', 'two');
  const names = ['mode', 'owner', 'acl', 'xattr', 'moved', 'linked', 'lost'];
  const attributes = `cd usr; stat -c %a mode lost hard; stat -c %u:%g owner symlink
getfacl -nc acl | grep user:33; getfattr --only-values -n user.note xattr; stat -c :%h linked`;
  const expectAt = async (version: string, hard: string): Promise<void> => {
    for (const env of ['one', 'two']) {
      expect(await seen(env, `cd usr; cat ${names.join(' ')}`)).toBe(
        names.map((name) => `${version} ${name}\n`).join(''),
      );
      expect(await seen(env, attributes)).toBe('600\n755\n604\n33:33\n33:0\nuser:33:r--\nmine:1\n');
      expect(await seen(env, 'cat usr/kept usr/hard2; readlink usr/symlink')).toBe(
        `one linked\n${hard}\n${version === 'one' ? 'mode' : 'owner'}\n`,
      );
    }
  };
  await expectAt('two', 'hard2');
  await root.ok('patch', 't');
  await expectAt('three', 'hard2');
  await root.ok('rollback', 't');
  await expectAt('two', 'hard2');
  await root.ok('rollback', 't');
  await expectAt('one', 'hard');
  expect(await root.json('fsck', '--full')).toMatchObject({ findings: [] });
});
