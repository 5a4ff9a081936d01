/** What installers of all sorts write becomes an app, and says who wrote it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Captures } from './captures.ts';

let captures: Captures;

beforeAll(async () => {
  captures = await Captures.create();
});
afterAll(() => captures.dispose());

const LISTING = (name: string): string => `/var/lib/byref/captured/${name}.list`;

test('make install: files of a read-only source directory, each with its writer', async () => {
  const source = captures.source({
    hello: '#!/bin/sh\necho hello from /usr/local\n',
    'hello.1': 'a manual\n',
    'install.sh': `#!/bin/sh -e
      cd "$(dirname "$0")"
      install -d /usr/local/share/man/man1 /usr/local/etc
      install -m 755 hello /usr/local/bin/hello
      install -m 644 hello.1 /usr/local/share/man/man1
      ln -s hello /usr/local/bin/hello-again
      echo prefix=/usr/local >/usr/local/etc/hello.conf
      ! touch here`,
  });
  const words = ['hello', '--base', 'tiny', '--bind', source, '--workdir', source];
  const text = await captures.root.ok('template', 'capture', ...words, '--', './install.sh');
  expect(text).toContain('hello@1: 5 files');
  expect(await captures.files('hello@1')).toEqual([
    '/usr/local/bin/hello',
    '/usr/local/bin/hello-again',
    '/usr/local/etc/hello.conf',
    '/usr/local/share/man/man1/hello.1',
    LISTING('hello'),
  ]);
  expect(await captures.content('hello@1', LISTING('hello'))).toBe(
    [
      'install\t/usr/local/bin/hello',
      'ln\t/usr/local/bin/hello-again',
      'install\t/usr/local/etc',
      'sh install.sh\t/usr/local/etc/hello.conf',
      'install\t/usr/local/share',
      'install\t/usr/local/share/man',
      'install\t/usr/local/share/man/man1',
      'install\t/usr/local/share/man/man1/hello.1',
      '',
    ].join('\n'),
  );
  expect(await captures.inEnv(['hello'], 'hello-again')).toBe('hello from /usr/local\n');
});

test('a vendor script: its user has a number, its noise is gone, and each env has its log', async () => {
  const source = captures.source({
    'setup.sh': `#!/bin/sh -e
      useradd --system --home-dir /opt/vendor --shell /usr/sbin/nologin vendor
      mkdir -p /opt/vendor/bin /etc/cron.d /root/.cache/vendor /var/log/vendor /opt/vendor/run
      echo '#!/bin/sh
      id -un' >/opt/vendor/bin/vendor
      chmod 755 /opt/vendor/bin/vendor
      chown -R vendor /opt/vendor/bin
      echo '0 4 * * * vendor /opt/vendor/bin/vendor' >/etc/cron.d/vendor
      echo fetched >/root/.cache/vendor/archive
      echo installing >/var/log/vendor/install.log
      echo "sh setup.sh" >>/root/.bash_history
      echo $$ >/opt/vendor/run/vendor.pid
      echo old >/etc/vendor.conf~; echo new >/etc/vendor.conf
      echo temporary >/tmp/vendor; echo temporary >/var/tmp/vendor`,
  });
  const made = await captures.captured('vendor', 'exec /srv/setup.sh', '-v', `${source}:/srv`);
  expect(made.accounts.users).toMatchObject([{ name: 'vendor' }]);
  const { uid } = made.accounts.users[0]!;
  expect(uid).toBeGreaterThanOrEqual(400);
  expect(await captures.files('vendor')).toEqual([
    '/etc/cron.d/vendor',
    '/etc/group',
    '/etc/gshadow',
    '/etc/passwd',
    '/etc/shadow',
    '/etc/vendor.conf',
    '/opt/vendor/bin/vendor',
    LISTING('vendor'),
    '/var/log/vendor/install.log',
  ]);
  const rules = made.leftOut.map(({ rule, files }) => `${rule} ${files}`).sort();
  expect(rules).toEqual(
    [
      '*.pid 1',
      '*~ 1',
      '/root/.*_history 1',
      '/root/.cache 1',
      '/var/log/* 1',
      '/var/tmp/* 1',
      ...rules.filter((rule) => rule.startsWith('/etc/')),
    ].sort(),
  );
  const listing = await captures.content('vendor', LISTING('vendor'));
  expect(listing).toMatch(/^.*useradd\t\/etc\/passwd$/m);
  expect(listing).toContain('sh setup.sh\t/etc/cron.d/vendor\n');
  expect(listing).toContain('sh setup.sh, chmod, chown\t/opt/vendor/bin/vendor\n');
  expect(
    await captures.inEnv(
      ['vendor'],
      'stat -c "%U %u" /opt/vendor/bin/vendor; wc -c </var/log/vendor/install.log',
    ),
  ).toBe(`vendor ${uid}\n0\n`);
});

test('the same again makes no version; another one is staged, and envs get it by a patch', async () => {
  const script = 'mkdir -p /opt/twice; echo one >/opt/twice/file; date >/var/log/twice';
  expect(await captures.captured('twice', script)).toMatchObject({
    end: 'stored',
    version: { number: 1, staged: false, note: `captured: sh -euc ${script}` },
  });
  expect(await captures.captured('twice', script)).toMatchObject({
    end: 'unchanged',
    version: null,
  });
  await captures.root.create('twice', 'tiny', 'twice');
  const mount = await captures.root.mount('twice');
  const other = script.replace('one', 'two');
  const second = await captures.captured('twice', other, '--note', 'again', '--label', 'two');
  expect(second).toMatchObject({
    version: { number: 2, staged: true, note: 'again', label: 'two' },
  });
  expect(await captures.inside(mount, 'cat /opt/twice/file')).toBe('one\n');
  await captures.root.ok('patch', 'twice');
  expect(await captures.inside(mount, 'cat /opt/twice/file')).toBe('two\n');
  expect(await captures.root.ok('template', 'diff', 'twice', '1', '2')).toBe('C /opt/twice/file\n');
});

test('which program wrote a path, template which says', async () => {
  await captures.captured(
    'which',
    'mkdir /opt/which; echo x >/opt/which/file; cp /etc/host.conf /opt',
  );
  await captures.root.create('which', 'tiny', 'which');
  const which = (file: string): Promise<string> =>
    captures.root.ok('template', 'which', 'which', file);
  expect(await which('/opt/host.conf')).toBe('/opt/host.conf: which@1, captured: written by cp\n');
  expect(await which('/opt/which')).toBe('/opt/which: which@1, captured: written by mkdir\n');
  expect(await which('/usr/bin/env')).toContain('package tiny-tools');
  expect(await captures.root.json('template', 'which', 'which', '/opt/which/file')).toMatchObject({
    package: null,
    writtenBy: ['sh'],
  });
});

test('a capture and an app of packages in one env: accounts of both, and both work', async () => {
  await captures.captured(
    'service',
    `useradd --system service; install -d -o service /var/lib/service
     echo 'echo from the service' >/usr/bin/service; chmod 755 /usr/bin/service`,
  );
  await captures.captured('packaged', 'apt-get update && apt-get install --yes greeter userful');
  const run =
    'service; greet; id -un service; stat -c %U /var/lib/service; dpkg -s greeter | grep Status';
  const said = await captures.inEnv(['service', 'packaged'], run);
  expect(said).toBe(
    'from the service\nhello, world (1.0)\nservice\nservice\nStatus: install ok installed\n',
  );
});

test('an app below: npm-like, on top of the program that runs it', async () => {
  await captures.captured(
    'tool',
    `echo '#!/bin/sh
mkdir -p /usr/lib/tools/$1/bin
echo "echo $1 runs" >/usr/lib/tools/$1/bin/run
chmod 755 /usr/lib/tools/$1/bin/run
ln -s ../lib/tools/$1/bin/run /usr/bin/$1' >/usr/bin/tool; chmod 755 /usr/bin/tool`,
  );
  const words = ['plugin', '--base', 'tiny@1', '--app', 'tool', '--json', '--', 'tool', 'plugin'];
  const made = JSON.parse(await captures.root.ok('template', 'capture', ...words)) as object;
  expect(made).toMatchObject({ version: { note: 'captured: tool plugin; on tool@1' } });
  expect(await captures.files('plugin')).toEqual([
    '/usr/bin/plugin',
    '/usr/lib/tools/plugin/bin/run',
    LISTING('plugin'),
  ]);
  expect(await captures.inEnv(['tool', 'plugin'], 'plugin')).toBe('plugin runs\n');
});

test('an installer asks on the terminal, and its environment is not the one of byref', async () => {
  const script = 'read -r word </dev/tty; test -t 0; ! env | grep BYREF_; echo $word >/opt/$WORD';
  const words = `template capture asks --base tiny --offline -e WORD=said -- sh -euc '${script}'`;
  const command = `"$1" ${words.replaceAll('"', '\\"').replaceAll('$', '\\$')}`;
  const { code, stdout } = await captures.root.shell(
    `(sleep 3; echo yes) | script -qefc "${command.replace('"$1"', '$1')}" /dev/null`,
    '/',
  );
  expect(code, stdout).toBe(0);
  expect(await captures.content('asks', '/opt/said')).toBe('yes\n');
});
