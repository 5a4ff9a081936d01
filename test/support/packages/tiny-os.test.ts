import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { configful, greeter } from '../../../fixtures/apt/packages.ts';
import { tinyPackages } from './tiny-os.ts';
import { type TinySystem, TinySystems } from './tiny-systems.ts';

let systems: TinySystems;
let tiny: TinySystem;

beforeAll(async () => {
  systems = await TinySystems.create();
});

beforeEach(async () => {
  tiny = await systems.system();
});

afterEach(() => systems.server.heal());

afterAll(() => systems.dispose());

describe('the tiny system', () => {
  test('is made of its packages, all installed well', async () => {
    expect(await tiny.installed()).toEqual(Object.keys(await tinyPackages()).sort());
    expect(await tiny.complaints()).toBe('');
    await tiny.run('echo more >>/usr/bin/whoami');
    expect(await tiny.complaints()).toMatch(/^\?\?5\S+ +\/usr\/bin\/whoami\n$/);
  });

  test('runs programs, and has users', async () => {
    const said = await tiny.run(`
      ldconfig && getent passwd nobody | cut -d : -f 3
      useradd --create-home someone && stat -c '%U %a' /home/someone
      groupadd --system some && getent group some | sed 's/:.*//'
      echo text | gzip | gzip -d | awk '{ print $1 }'
      tar -C /etc -c shells | tar -t
      bash -c 'find /usr/bin -name dpkg | grep -c .'`);
    expect(said).toBe('65534\nsomeone 755\nsome\ntext\nshells\n1\n');
  });

  test('upgrades one of its packages', async () => {
    const tools = (await tinyPackages())['tiny-tools']!;
    const files = { ...tools.files, '/usr/bin/whoami': '#!/bin/sh\necho patched\n' };
    await systems.during(
      () => systems.repo.add({ ...tools, version: '1.1', files }),
      () => systems.repo.remove('tiny-tools', '1.1'),
    );
    await tiny.run('apt-get update && apt-get upgrade');
    expect(await tiny.run('whoami')).toBe('patched\n');
    expect(await tiny.complaints()).toBe('');
  });

  test('refuses a repository that is signed by another key', async () => {
    const { repo } = systems;
    await systems.during(
      () => repo.signWithAnotherKey(),
      () => repo.signWithOwnKey(),
    );
    await expect(tiny.run('apt-get update')).rejects.toThrow('is not signed');
  });

  test('installs nothing of what it gets in part', async () => {
    systems.server.lose('/pool/main/greeter-data_1.0_all.deb');
    await expect(tiny.install('greeter')).rejects.toThrow('404');
    systems.server.heal();
    systems.server.breakAfter(1000);
    await expect(tiny.install('greeter')).rejects.toThrow('Failed to fetch');
    expect(await tiny.installed()).not.toContain('greeter-data');
    systems.server.heal();
    await tiny.install('greeter');
    expect(await tiny.complaints()).toBe('');
  });
});

describe('apps', () => {
  test('greeter comes with what it depends on', async () => {
    await tiny.install('greeter');
    expect(await tiny.installed()).toContain('greeter-data');
    expect(await tiny.run('greet')).toBe('hello, world (1.0)\n');
    expect(await tiny.complaints()).toBe('');
  });

  test('greeter 1.1 is an upgrade; 1.2 can be installed, but does not work', async () => {
    const { repo } = systems;
    await tiny.install('greeter');
    await systems.during(
      () => repo.add(greeter['1.1']),
      () => repo.remove('greeter', '1.1'),
    );
    await tiny.install('greeter');
    expect(await tiny.run('greet')).toBe('hello, world (1.1)\n');
    await systems.during(
      () => repo.add(greeter['1.2']),
      () => repo.remove('greeter', '1.2'),
    );
    await tiny.install('greeter');
    await expect(tiny.run('greet')).rejects.toThrow('greet: out of words');
    expect(await tiny.complaints()).toBe('');
  });

  test('a conffile that was changed stays', async () => {
    await tiny.install('configful');
    await tiny.run("sed -i 's/=.*/=mine/' /etc/configful/configful.conf");
    await systems.during(
      () => systems.repo.add(configful['1.1']),
      () => systems.repo.remove('configful', '1.1'),
    );
    await tiny.install('-o DPkg::Options::=--force-confold configful');
    expect(await tiny.run('configful')).toBe('mine\n');
    expect(await tiny.run('cat /etc/configful/*.dpkg-dist')).toContain('setting=two\n');
  });

  test('shouter takes the place of greeter', async () => {
    await tiny.install('greeter');
    await tiny.install('shouter');
    expect(await tiny.run('greet')).toBe('HELLO, WORLD\n');
    expect(await tiny.installed()).not.toContain('greeter');
  });

  test('userful and userful2 add users and groups, and have directories as them', async () => {
    await tiny.install('userful', 'userful2');
    const said = await tiny.run("stat -c '%U %G %a' /var/lib/userful /var/lib/userful2");
    expect(said).toBe('userful userful 750\nuserful2 userful2 750\n');
    expect((await uids('userful', 'userful2')).sort()).toEqual(['998', '999']);
    expect(await tiny.complaints()).toBe('');
    await tiny.run('apt-get purge userful userful2');
    // Each takes the same id where it comes first.
    await tiny.install('userful2');
    expect(await uids('userful2')).toEqual(['999']);
  });

  test('diverter puts its program in place of one of the system', async () => {
    await tiny.install('diverter');
    expect(await tiny.run('whoami')).toBe('diverted root\n');
    expect(await tiny.complaints()).toBe('');
    await tiny.run('apt-get purge diverter');
    expect(await tiny.run('whoami && dpkg-divert --list')).toBe('root\n');
  });

  test('linked has hard links, a link, and a setuid program', async () => {
    await tiny.install('linked');
    const said = await tiny.run(`
      stat -c '%h %a' /usr/lib/linked/elsewhere
      readlink /usr/bin/linked-softly
      linked-again
      chroot --userspec=nobody / id-as-root -u`);
    expect(said).toBe('3 755\nlinked\nlinked as linked-again\n0\n');
    expect(await tiny.complaints()).toBe('');
  });

  test('alternative is b, as long as b is there', async () => {
    await tiny.install('alternative-a', 'alternative-b');
    expect(await tiny.run('alternative')).toBe('alternative-b\n');
    await tiny.run('apt-get remove alternative-b');
    expect(await tiny.run('alternative')).toBe('alternative-a\n');
  });

  test('failing is unpacked, and dpkg complains', async () => {
    await expect(tiny.install('failing')).rejects.toThrow('failing: postinst fails');
    expect(await tiny.complaints()).toContain('failing');
  });
});

const uids = async (...users: string[]): Promise<string[]> =>
  (await tiny.run(users.map((user) => `id -u ${user}`).join(' && '))).trim().split('\n');
