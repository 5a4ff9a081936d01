/** Files of a package of which an env has set attributes only: a patch, and the way back, reach them all. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvChange } from '../../src/manager/envs/diff.ts';
import type { PatchPlan } from '../../src/manager/rollout/plan.ts';
import { sh } from '../support/machine/program.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let t: PackageRoot;
let env: PackageEnv;

/** What is done to a file of the package, `$1`, in the env's root, from the machine; and what then is to be seen of it. */
const TOUCHES: Readonly<Record<string, { readonly script: string; readonly shows: string }>> = {
  chmod: { script: 'chmod 640 "$1"', shows: 'stat -c %a "$1"' },
  chown: { script: 'chown 33:33 "$1"', shows: 'stat -c %u:%g "$1"' },
  touch: { script: 'touch "$1"', shows: 'stat -c %X "$1"' },
  setfacl: { script: 'setfacl -m u:33:r "$1"', shows: 'getfacl -nc "$1"' },
  setcap: { script: 'setcap cap_net_raw+ep "$1"', shows: 'getcap "$1"' },
  setfattr: { script: 'setfattr -n user.note -v mine "$1"', shows: 'getfattr -n user.note "$1"' },
  move: { script: 'mv "$1" x; mv x "$1"', shows: 'true' },
  sed: { script: 'sed -i s/nothing-like-it/x/ "$1"', shows: 'stat -c %a:%u "$1"' },
  edit: {
    script: 'chmod 600 "$1"; sed -i s/nothing-like-it/x/ "$1"',
    shows: 'stat -c %a:%u "$1"',
  },
  link: { script: 'ln "$1" "$(basename "$1").kept"', shows: 'stat -c %a "$1"' },
};
const NAMES = [...Object.keys(TOUCHES), 'open', 'override', 'untouched'];
const DIR = '/usr/share/libx';

const libx = (version: string): DebDescription => ({
  name: 'libx',
  version,
  arch: 'all',
  files: {
    ...Object.fromEntries(NAMES.map((name) => [`${DIR}/${name}`, `${name} of ${version}\n`])),
    [`${DIR}/linked`]: { hardLink: `${DIR}/untouched` },
    [`${DIR}/symlink`]: { symlink: `of-${version}` },
  },
});

beforeAll(async () => {
  systems = await TinySystems.create();
});
beforeEach(async () => {
  t = await PackageRoot.create(
    systems,
    [libx('1'), libx('2')],
    'dpkg -i libx_1_all.deb; mkdir -p /opt',
  );
  env = await t.env('e');
});
afterEach(() => t.dispose());
afterAll(() => systems.dispose());

async function host(script: string, name: string): Promise<string> {
  const { code, stdout, stderr } = await sh(`cd "$2"; ${script}`, [
    `.${DIR}/${name}`,
    env.mountpoint,
  ]);
  expect(code, stderr).toBe(0);
  return stdout;
}

async function touchAll(): Promise<void> {
  for (const [name, { script }] of Object.entries(TOUCHES)) await host(script, name);
  closeSync(openSync(path.join(env.mountpoint, DIR, 'open'), 'r+'));
  await env.run(`dpkg-statoverride --update --add root root 600 ${DIR}/override`);
  await host('chown -h 33 "$1"; chmod 604 ./usr/share/libx/linked', 'symlink');
}

/** What the env has set, as its own programs see it. */
async function attributes(): Promise<string[]> {
  const seen: string[] = [];
  for (const [name, { shows }] of Object.entries(TOUCHES)) seen.push(await host(shows, name));
  seen.push(await host('stat -c %a "$1"', 'override'));
  seen.push(await host('stat -c %u "$1"', 'symlink'));
  seen.push(await host('stat -c %a:%h "$1"', 'untouched'));
  return seen;
}

const PLACES = [
  ['mounted', false],
  ['stopped', true],
] as const;

const during = <T>(isUnmounted: boolean, work: () => Promise<T>): Promise<T> =>
  t.without('e', isUnmounted, work);

async function expectVersion(version: string): Promise<void> {
  const wanted = NAMES.map((name) => `${name} of ${version}\n`).join('');
  expect(await env.run(`cd ${DIR}; cat ${NAMES.join(' ')}`)).toBe(wanted);
  expect(await env.run(`readlink ${DIR}/symlink; cat ${DIR}/linked`)).toBe(
    `of-${version}\nuntouched of ${version}\n`,
  );
  expect(await env.run(`dpkg --verify; dpkg-query -W -f '\${Version}' libx`)).toBe(version);
  const inos = (await env.run(`stat -c %i ${DIR}/linked ${DIR}/untouched`)).split('\n');
  expect(inos[0]).toBe(inos[1]);
}

test.each(PLACES)('a %s env’s touched files are of the version that comes', async (_, stopped) => {
  await touchAll();
  const set = await attributes();
  const kept = await env.run(`cat /link.kept`);
  await during(stopped, () => t.patch('dpkg -i libx_2_all.deb'));
  await expectVersion('2');
  expect(await attributes()).toEqual(set);
  // As after dpkg's rename over it.
  expect(await env.run('cat /link.kept; stat -c %h /link.kept')).toBe(`${kept}1\n`);
  await during(stopped, () => t.rollback());
  await expectVersion('1');
  expect(await attributes()).toEqual(set);
  await during(stopped, () => t.root.ok('patch', 't', '--to', '2'));
  await expectVersion('2');
  expect(await attributes()).toEqual(set);
  expect(await env.run('cat /link.kept; stat -c %h /link.kept')).toBe(`${kept}1\n`);
  expect(await t.root.findings()).toEqual([]);
});

test('a file that was moved elsewhere, and one that was written, keep their bytes', async () => {
  await host('mv "$1" moved', 'chmod');
  await host('chmod 640 "$1"; echo more >>"$1"', 'chown');
  await t.patch('dpkg -i libx_2_all.deb');
  expect(await env.run(`cat /moved ${DIR}/chown; ls ${DIR}/chmod 2>/dev/null || echo gone`)).toBe(
    'chmod of 1\nchown of 1\nmore\ngone\n',
  );
});

test('what is set is said: by diff, and by a plan', async () => {
  await host('chmod 640 "$1"; chown 33 "$1"', 'chmod');
  await host('setfacl -m u:33:r "$1"', 'setfacl');
  await host('mv "$1" x; mv x "$1"', 'move');
  await host('echo more >>"$1"', 'chown');
  const diff = await t.root.json<EnvChange[]>('diff', 'e');
  const below = diff.filter(({ path: at }) => at.startsWith(`${DIR}/`));
  expect(below).toEqual([
    { kind: 'C', path: `${DIR}/chmod`, attributes: ['mode', 'owner'] },
    { kind: 'C', path: `${DIR}/chown`, attributes: null },
    { kind: 'C', path: `${DIR}/setfacl`, attributes: ['system.posix_acl_access'] },
  ]);
  expect(await t.root.ok('diff', 'e')).toContain(`C ${DIR}/chmod (attributes only: mode, owner)\n`);
  await t.machine.run('cd /srv/debs; dpkg -i libx_2_all.deb');
  await t.stage();
  const plan = JSON.parse(
    (await t.root.byref('patch', 't', '--check', '--json')).stdout,
  ) as PatchPlan;
  expect(plan.envs[0]!.counts).toMatchObject({ attributes: 2, private: 1 });
  expect((await t.root.byref('patch', 't', '--check')).stdout).toContain(
    `C ${DIR}/chmod: attributes only (mode, owner)\n`,
  );
});

test('set-ID bits of a version do not come where the env changed the owner, or took them away', async () => {
  await host('chown 33 "$1"', 'chown');
  await host('chmod 4755 "$1"', 'chmod');
  await t.machine.run(`dpkg-deb -R /srv/debs/libx_2_all.deb /tmp/x
cd /tmp/x${DIR}; chmod 4755 chown sed move; setcap cap_net_raw+ep edit 2>/dev/null || true; dpkg-deb -b /tmp/x /srv/debs/libx_2_all.deb`);
  await host('chmod 4711 "$1"; chmod 711 "$1"', 'move');
  await t.patch('dpkg -i libx_2_all.deb');
  const modes = async (): Promise<string> =>
    env.run(`cd ${DIR}; stat -c %a chown chmod sed move; cat chown`);
  expect(await modes()).toBe('755\n4755\n4755\n711\nchown of 2\n');
  await env.run(`chmod u-s ${DIR}/sed`);
  await t.rollback();
  expect(await modes()).toBe('644\n4755\n644\n711\nchown of 1\n');
  await t.root.ok('patch', 't', '--to', '2');
  expect(await modes()).toBe('755\n4755\n755\n711\nchown of 2\n');
});

test('relink takes an equal copy whose attributes are others', async () => {
  await host('chmod 640 "$1"; cp -p "$1" x; echo y >>"$1"; cat x >"$1"; rm x', 'chmod');
  expect(await t.root.json('relink', 'e')).toMatchObject([{ names: expect.any(Number) as number }]);
  expect(
    (await t.root.json<EnvChange[]>('diff', 'e')).find(({ path: at }) => at === `${DIR}/chmod`),
  ).toMatchObject({ attributes: expect.arrayContaining(['mode', 'mtime']) as string[] });
  expect(await host('stat -c %a "$1"; cat "$1"', 'chmod')).toBe('640\nchmod of 1\n');
  await t.patch('dpkg -i libx_2_all.deb');
  expect(await host('stat -c %a "$1"; cat "$1"', 'chmod')).toBe('640\nchmod of 2\n');
});

test.each(PLACES)(
  'a directory of a %s env has the mode that comes, unless the env set it',
  async (_, stopped) => {
    await host('echo own >"$1"; echo own >./opt/own', 'mine');
    await env.run('mkdir -p /usr/share/libx; chmod 711 /opt');
    const modes = (): Promise<string> => env.run(`stat -c %a ${DIR} /opt`);
    await during(stopped, () => t.patch(`dpkg -i libx_2_all.deb; chmod 2750 ${DIR} /opt`));
    expect(await modes()).toBe('2750\n711\n');
    expect(await env.run(`cat ${DIR}/mine /opt/own`)).toBe('own\nown\n');
    await during(stopped, () => t.rollback());
    expect(await modes()).toBe('755\n711\n');
  },
);

test.each(PLACES)(
  'extended attributes of a directory of a %s env come one by one',
  async (_, stopped) => {
    await host('echo own >"$1"; echo own >./opt/own', 'mine');
    const set = `setfattr -n user.mine -v own .${DIR}; setfacl -m u:33:r ./opt`;
    const shows = `getfattr -d .${DIR} ./opt | grep user; getfacl -nc ./opt | grep :.*: || :`;
    await host(set, '');
    const before = await host(shows, '');
    const theirs = `setfattr -n user.theirs -v 2 .${DIR} ./opt; setfacl -m u:34:r ./opt`;
    await sh(`cd "$1"; ${theirs}`, [t.machine.root]);
    await during(stopped, () => t.patch('dpkg -i libx_2_all.deb'));
    const shown = await host(shows, '');
    expect(shown.match(/user.theirs="2"/g)).toHaveLength(2);
    expect(shown).toContain('user.mine="own"');
    expect(shown).toContain('user:33:r--');
    expect(shown).not.toContain('user:34');
    await during(stopped, () => t.rollback());
    expect(await host(shows, '')).toBe(before);
    expect(await t.root.findings()).toEqual([]);
  },
);

/** Copies with the template's bytes, of which a program has an old or a new descriptor, or a mapping. */
test('copies that programs have open follow, and those go on with what they have', async () => {
  const at = (name: string): string => path.join(env.mountpoint, DIR, name);
  const before = openSync(at('touch'), 'r');
  for (const name of ['touch', 'chmod', 'linked'])
    await host('chmod 640 "$1"; touch -d @1700000000 "$1"', name);
  await host('sed -i s/nothing-like-it/x/ "$1"', 'untouched');
  const fds = [before, openSync(at('chmod'), 'r'), openSync(at('linked'), 'r')];
  const read = (): string[] => fds.map((fd) => readAt(fd));
  const old = ['touch of 1\n', 'chmod of 1\n', 'untouched of 1\n'];
  const modes = (): Promise<string> =>
    env.run(
      `cd ${DIR}; stat -c %a:%h touch chmod linked untouched; cat touch chmod linked untouched`,
    );
  const shown = (version: string): string =>
    `640:1\n640:1\n640:2\n640:2\n${['touch', 'chmod', 'untouched', 'untouched'].map((name) => `${name} of ${version}\n`).join('')}`;
  await t.patch('dpkg -i libx_2_all.deb');
  expect(await modes()).toBe(shown('2'));
  expect(read()).toEqual(old);
  expect(fds.map((fd) => fstatSync(fd).nlink)).toEqual([0, 0, 0]);
  await t.rollback();
  expect(await modes()).toBe(shown('1'));
  expect(read()).toEqual(old);
  const more = openSync(at('touch'), 'r');
  // Copied up once more, beside readers of what was copied before.
  await host('echo more >>"$1"', 'touch');
  expect([readAt(more), await host('cat "$1"', 'touch')]).toEqual([
    expect.stringContaining('touch of 1\n'),
    'touch of 1\nmore\n',
  ]);
  await t.root.ok('patch', 't', '--to', '2');
  expect(await host('cat "$1"', 'chmod')).toBe('chmod of 2\n');
  expect(await host('cat "$1"', 'touch')).toBe('touch of 1\nmore\n');
  for (const fd of [...fds, more]) closeSync(fd);
  expect(await t.root.findings()).toEqual([]);
});

function readAt(fd: number): string {
  const buffer = Buffer.alloc(64);
  return buffer.toString('latin1', 0, readSync(fd, buffer, 0, 64, 0));
}

test('a copy that a program may write to stays, is named, and follows by relink once it is closed', async () => {
  await host('chmod 640 "$1"; touch -d @1700000000 "$1"', 'touch');
  const at = path.join(env.mountpoint, DIR, 'touch');
  const fd = openSync(at, 'r+');
  const { code, stdout } = await t.machine
    .run('cd /srv/debs; dpkg -i libx_2_all.deb')
    .then(() => t.stage())
    .then(() => t.root.byref('patch', 't'));
  expect(code, stdout).toBe(0);
  expect(stdout).toContain('1 name stays its own: programs have them open');
  expect(await env.run(`cat ${DIR}/touch ${DIR}/sed`)).toBe('touch of 1\nsed of 2\n');
  closeSync(fd);
  await expect
    .poll(() => t.root.ok('relink', 'e').then(() => env.run(`cat ${DIR}/touch`)), {
      timeout: 20_000,
    })
    .toBe('touch of 2\n');
  expect(await host('stat -c %a "$1"', 'touch')).toBe('640\n');
});
