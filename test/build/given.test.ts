/** Variables and files of the machine that builds and captures are given. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { TestRoot } from '../support/machine/root.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

/** Says what it was given, and tries to change it. */
const asking: DebDescription = {
  name: 'asking',
  version: '1.0',
  arch: 'all',
  files: { '/usr/share/asking/file': 'x\n' },
  scripts: {
    postinst: `
{ echo "$FROM_FILE $FROM_YAML $FROM_LINE $OWN"; cat /run/given/ca.pem /srv/deep/given/word; } >/usr/share/asking/heard
! echo changed 2>/dev/null >/srv/deep/given/word`,
  },
};
const HEARD = 'file yaml line mine\ncertificate\nword\n';

let systems: TinySystems;
let apps: TinyApps;
let words: string[];
let yaml: { env: string[]; binds: string[] };

beforeAll(async () => {
  systems = await TinySystems.create();
  await systems.repo.add(asking);
  await systems.repo.publish();
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  const machine = path.join(systems.base, 'builds.yaml');
  apps = await TinyApps.create(
    systems,
    await TestRoot.create({ BYREF_BUILDS: machine, OWN: 'mine' }),
  );
  const own = apps.root.directory('own');
  const certificate = path.join(own, 'ca.pem');
  writeFileSync(certificate, 'certificate\n');
  writeFileSync(path.join(own, 'word'), 'word\n');
  writeFileSync(
    machine,
    JSON.stringify({
      env: ['FROM_FILE=file', 'FROM_YAML=file', 'FROM_LINE=file'],
      binds: [`${certificate}:/run/given/ca.pem`],
    }),
  );
  yaml = { env: ['FROM_YAML=yaml', 'FROM_LINE=yaml'], binds: [`${own}:/srv/deep/given`] };
  words = ['--env', 'FROM_LINE=line', '--env', 'OWN', '--env', 'UNSET_HERE'];
});
afterEach(async () => {
  await apps.expectNothingLeft();
  await apps.dispose();
});

const heardIn = (template: string): Promise<string> =>
  apps.tar(template, '--extract', '--to-stdout', './usr/share/asking/heard');

test('an app is given them while it is installed, and keeps nothing of them', async () => {
  const hooks = ['echo "$FROM_YAML" >"$1/usr/share/asking/hook"'];
  const file = apps.config('asking', { packages: ['asking'], hooks, ...yaml });
  await apps.root.ok('template', 'build', file, ...words);
  expect(await heardIn('asking')).toBe(HEARD);
  const members = await apps.members('asking');
  expect(members).toContain('./usr/share/asking/hook');
  expect(members.filter((each) => /given|deep|ca\.pem/.test(each))).toEqual([]);
});

test('so is an operating system', async () => {
  const { server, repo } = systems;
  const from = { suite: 'stable', repository: server.url, keyring: repo.keyring };
  const packages = ['tiny-base', 'asking'];
  const os = { kind: 'os', base: undefined, variant: 'custom', packages, ...from, ...yaml };
  await apps.root.ok('template', 'build', apps.config('system', os), ...words);
  expect(await heardIn('system')).toBe(HEARD);
  const members = await apps.members('system');
  expect(members.filter((each) => /given|deep|ca\.pem/.test(each))).toEqual([]);
});

test('so is what is captured', async () => {
  const script =
    'echo "$FROM_FILE $FROM_LINE $OWN $UNSET_HERE." >/opt/heard; cat /run/given/ca.pem >>/opt/heard';
  await apps.root.ok(
    'template',
    'capture',
    'heard',
    '--base',
    'tiny',
    ...words,
    '--',
    'sh',
    '-c',
    script,
  );
  expect(await apps.tar('heard', '--extract', '--to-stdout', './opt/heard')).toBe(
    'file line mine .\ncertificate\n',
  );
});

test("what is not there, and a machine's file that is not right", async () => {
  const file = apps.config('asking', { packages: ['asking'] });
  const said = async (...more: string[]): Promise<string> => {
    const { code, stderr } = await apps.root.byref('template', 'build', file, ...more);
    return `${code} ${stderr.split('\n').find((line) => line.startsWith('byref: '))!}`;
  };
  expect(await said('--bind', '/nosuch')).toBe('7 byref: there is no /nosuch');
  expect(await said('--env', '1=2')).toBe('2 byref: --env 1=2 is not NAME or NAME=VALUE');
  expect(await said('--bind', '/etc:/bin/x')).toContain('/bin is a symlink in the base');
  writeFileSync(path.join(systems.base, 'builds.yaml'), 'env: A\nbind: [x]\n');
  expect(await said()).toMatch(/^7 byref: .*builds\.yaml:1: env: "A" is not a list/);
});
