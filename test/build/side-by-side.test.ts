import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { HeldLock } from '../support/machine/held-lock.ts';
import { BYREF } from '../support/machine/program.ts';
import { RunningCommand } from '../support/machine/running-command.ts';
import { scratchEnvs } from '../support/machine/scratch-envs.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';
import { writeManyFiles } from '../support/trees/many-files.ts';

/** Commands that build and import, and others beside them. */
let systems: TinySystems;
let apps: TinyApps;

beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  apps = await TinyApps.create(systems);
});
afterEach(async () => {
  await apps.expectNothingLeft();
  await apps.dispose();
});

const FILES = 100_000;
const TIMEOUT_MS = 300_000;
const POLL = { timeout: 60_000, interval: 50 };

const run = (...words: string[]): RunningCommand => new RunningCommand(BYREF, words, apps.root.env);

/** A build that stops when all is installed, until `go` is called. @param id of several of one template; it is in the tree */
function heldBuild(name: string, id = name) {
  const at = (file: string): string => path.join(apps.root.base, `${id}.${file}`);
  const hook = `echo ${id} >$1/etc/built-by; touch ${at('ready')}; while ! [ -e ${at('go')} ]; do sleep 0.05; done`;
  const config = path.join(apps.root.base, `${id}.yaml`);
  const fields = { packages: ['greeter'], hooks: [hook] };
  writeFileSync(config, JSON.stringify({ kind: 'app', name, base: 'tiny', ...fields }));
  const command = run('template', 'build', config);
  return {
    command,
    ready: () => expect.poll(() => existsSync(at('ready')), POLL).toBe(true),
    go: () => writeFileSync(at('go'), ''),
  };
}

async function expectSound(): Promise<void> {
  expect(await apps.root.findings()).toEqual([]);
  expect(readdirSync(path.join(apps.root.path, 'objects/tmp'))).toEqual([]);
}

test(
  'four builds, an import of many files, creates, destroys, patches and app adds at once: none fails',
  async () => {
    const { root } = apps;
    const tar = path.join(root.base, 'many.tar');
    writeManyFiles(tar, FILES);
    const [first, second] = ['first', 'second'].map((text) => {
      const dir = root.directory(text);
      writeFileSync(path.join(dir, 'file'), text);
      return dir;
    });
    await root.import('small', first!);
    await root.import('add-on', second!, 'app');
    await root.create('follower', 'small');
    await root.mount('follower');

    let running = 5;
    const ends = (command: RunningCommand) =>
      command.ended.finally(() => {
        running--;
      });
    const long = [
      ends(run('template', 'import', 'many', tar)),
      ...['greeter', 'userful', 'userful2', 'configful'].map((name) =>
        ends(run('template', 'build', apps.config(name, { packages: [name] }))),
      ),
    ];
    let rounds = 0;
    do {
      const name = `env-${rounds++}`;
      await root.create(name, 'small');
      await root.ok('app', 'add', name, 'add-on');
      await root.import('small', rounds % 2 === 0 ? first! : second!);
      await root.ok('patch', 'small');
      await root.ok('destroy', name);
    } while (running > 0);
    for (const { code, stderr } of await Promise.all(long)) expect(code, stderr).toBe(0);
    expect(rounds).toBeGreaterThan(2);

    expect(await root.json('template', 'show', 'many')).toMatchObject({
      versions: [{ files: FILES, number: 1 }],
    });
    await root.create('all', 'tiny', 'greeter', 'userful');
    await root.umount('follower');
    await expectSound();
  },
  TIMEOUT_MS,
);

test('a build keeps no other command from writing, and waits at its end for one that does', async () => {
  const { root } = apps;
  const build = heldBuild('greet');
  await build.ready();
  // None of these would wait.
  const atOnce = ['--wait', '0'];
  await root.ok('create', 'web', '--os', 'tiny', ...atOnce);
  await root.ok('template', 'import', 'other', root.directory('other'), ...atOnce);
  await root.ok('destroy', 'web', ...atOnce);
  await root.ok('gc', ...atOnce);

  const lock = await HeldLock.take(root.path);
  const refused = await root.byref('create', 'late', '--os', 'tiny', ...atOnce);
  expect(refused).toMatchObject({ code: EXIT.locked });
  expect(refused.stderr).toMatch(
    new RegExp(`process ${lock.pid} \\(bash .*is writing to the store`),
  );
  const waiting = run('create', 'patient', '--os', 'tiny');
  build.go();
  const told = `byref: waiting for process ${lock.pid} (bash `;
  await expect.poll(() => build.command.stderr, POLL).toContain(told);
  await expect.poll(() => waiting.stderr, POLL).toContain(told);
  await lock.release();
  const [built, created] = await Promise.all([build.command.ended, waiting.ended]);
  expect(built, built.stderr).toMatchObject({ code: 0 });
  expect(created, created.stderr).toMatchObject({ code: 0 });
  const env = await apps.env('e', 'greet');
  expect(await env.run('greet')).toBe('hello, world (1.0)\n');
  await root.umount('e');
  await expectSound();
});

test('two builds of one new template at once: the second one is its next version', async () => {
  const builds = [heldBuild('greet', 'one'), heldBuild('greet', 'two')];
  for (const { ready } of builds) await ready();
  for (const { go } of builds) go();
  for (const { command } of builds) {
    const { code, stderr } = await command.ended;
    expect(code, stderr).toBe(0);
  }
  // Hooks differ, and so do their versions' configurations: the second one is not what the first one is.
  const { versions } = await apps.root.json<{ versions: { number: number; staged: boolean }[] }>(
    'template',
    'show',
    'greet',
  );
  expect(versions.map(({ number, staged }) => [number, staged])).toEqual([
    [1, false],
    [2, true],
  ]);
  await expectSound();
});

test("a throw-away env is not seen, and is nobody else's to touch", async () => {
  const { root } = apps;
  const build = heldBuild('greet');
  await build.ready();
  const [name] = await scratchEnvs(apps.root);
  expect(await root.json('list')).toEqual([]);
  expect(await root.json('df')).toEqual([]);
  expect(await root.json('stale')).toEqual([]);
  expect(await root.json('template', 'show', 'tiny')).toMatchObject({ envs: [], users: [] });
  expect(readdirSync(path.join(root.path, 'mnt'))).toEqual([]);
  expect(await root.ok('umount', '--all', '--force')).toBe('');
  expect(await root.ok('mount', '--all')).toBe('');
  const commands = [
    ['destroy', '--force', name!],
    ['umount', '--force', name!],
    ['mount', name!],
    ['info', name!],
    ['diff', name!],
    ['df', name!],
    ['pin', name!, 'tiny'],
    ['follow', name!, 'tiny'],
    ['app', 'add', name!, 'tiny'],
    ['saved', 'list', name!],
    ['template', 'capture', 'stolen', '--from-env', name!],
  ];
  for (const words of commands) {
    const { code, stderr } = await root.byref(...words);
    expect([words[0], code], stderr).toEqual([words[0], EXIT.busy]);
    expect(stderr).toContain(
      `${name} is the throw-away env of process ${build.command.pid} (byref template build `,
    );
  }
  const { stderr } = await root.byref('template', 'rm', 'tiny');
  expect(stderr).toContain(`in use by process ${build.command.pid} (byref template build `);
  const own = await root.byref('create', 'scratch.1.1', '--os', 'tiny');
  expect(own).toMatchObject({ code: EXIT.usage });
  await root.ok('gc');
  build.go();
  const built = await build.command.ended;
  expect(built, built.stderr).toMatchObject({ code: 0 });
  await expectSound();
});

test('the name of a template that is being built is kept for its kind', async () => {
  const { root } = apps;
  const build = heldBuild('greet');
  await build.ready();
  const taken = await root.byref('template', 'import', 'greet', root.directory('greet'));
  expect(taken).toMatchObject({ code: EXIT.busy });
  expect(taken.stderr).toContain(`process ${build.command.pid} (byref template build `);
  const before = readdirSync(path.join(root.path, 'meta'));
  expect(before.filter((name) => name.startsWith('name-'))).toEqual(['name-greet.app.lock']);
  build.go();
  const built = await build.command.ended;
  expect(built, built.stderr).toMatchObject({ code: 0 });
  expect(readdirSync(path.join(root.path, 'meta'))).not.toContain('name-greet.app.lock');
});

test('what a build was made on stays until it is committed', async () => {
  const { root } = apps;
  const build = heldBuild('greet');
  await build.ready();
  // tiny@1 is neither current nor what a rollback goes back to.
  for (const text of ['2', '3']) {
    const dir = root.directory(`v${text}`);
    writeFileSync(path.join(dir, 'file'), text);
    await root.import('tiny', dir);
    await root.ok('patch', 'tiny');
  }
  const gc = await root.json<{ removed: object[]; kept: object[] }>('gc', '--keep', '0');
  expect(gc.removed).toEqual([{ template: 'tiny', version: 2 }]);
  expect(gc.kept).toMatchObject([{ template: 'tiny', version: 1, reason: 'pinned' }]);
  build.go();
  const built = await build.command.ended;
  expect(built, built.stderr).toMatchObject({ code: 0 });
  const kept = await root.json<{ removed: object[]; kept: object[] }>('gc', '--keep', '0');
  expect(kept.kept).toMatchObject([{ template: 'tiny', version: 1, reason: 'base' }]);
  await expectSound();
});
