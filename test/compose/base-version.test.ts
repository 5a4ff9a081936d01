import { afterAll, beforeAll, expect, test } from 'vitest';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { tinyPackages } from '../support/packages/tiny-os.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let apps: TinyApps;

beforeAll(async () => {
  systems = await TinySystems.create();
  apps = await TinyApps.create(systems);
});
afterAll(async () => {
  await apps.dispose();
  await systems.dispose();
});

test("an app on an older version of its base: the base's new packages, and the app's", async () => {
  const { server, repo } = systems;
  const os = apps.config('os', {
    ...{ kind: 'os', base: undefined, suite: 'stable', variant: 'custom' },
    ...{ repository: server.url, keyring: repo.keyring, packages: ['tiny-base', 'configful'] },
  });
  await apps.root.ok('template', 'build', os);
  await apps.build('users', ['userful'], { base: 'os' });
  const { 'tiny-base': base } = await tinyPackages();
  const newer = { ...base!, version: '1.1', files: { ...base!.files, '/usr/share/new': 'new\n' } };
  await systems.during(
    () => repo.add(newer),
    () => repo.remove('tiny-base', '1.1'),
  );
  await apps.root.ok('template', 'update', 'os');
  const look = async (env: string, os: string): Promise<string> => {
    await apps.root.create(env, os, 'users');
    const [mount] = await apps.root.json<{ mountpoint: string }[]>('mount', env);
    const script = `chroot ${mount!.mountpoint} sh -euc '
      dpkg-query -W tiny-base configful userful
      dpkg --audit; dpkg --verify; apt-get -qq check
      stat -c %U /var/lib/userful'`;
    const { stdout, stderr } = await apps.root.shell(script, '/');
    return stdout + stderr;
  };
  const others = 'configful\t1.0\n';
  expect(await look('as-built', 'os@1')).toBe(`${others}tiny-base\t1.0\nuserful\t1.0\nuserful\n`);
  expect(await look('newer', 'os@2')).toBe(`${others}tiny-base\t1.1\nuserful\t1.0\nuserful\n`);
  await apps.expectNothingLeft();
});
