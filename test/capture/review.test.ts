/** What a person sees before it is stored, and the rules that take noise out. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { DEFAULT_RULES } from '../../src/manager/recipes/capture/rules.ts';
import { parseRules, rulesText } from '../../src/manager/recipes/capture/rules-file.ts';
import { type CaptureJson, Captures } from './captures.ts';

let captures: Captures;

beforeAll(async () => {
  captures = await Captures.create();
});
afterAll(() => captures.dispose());

const INSTALL = `mkdir /opt/r; echo x >/opt/r/file; cp /usr/bin/id /opt/r/id; chmod 4755 /opt/r/id
  rm /etc/host.conf; echo y >>/etc/profile; mkdir -p /root/.cache; echo z >/root/.cache/z`;

test('asked before it is stored: no, nothing, and yes', async () => {
  for (const input of ['n\n', '', 'maybe\n']) {
    const { code, stdout, stderr } = await captures.answered(input, 'r', INSTALL, '--review');
    expect([code, stdout], stderr).toEqual([EXIT.pending, expect.stringMatching(/not stored\n$/)]);
    expect(stderr).toContain('Store it as r@1? [y/N]');
  }
  expect(await captures.templates()).toEqual(['tiny@1']);
  const { code, stdout, stderr } = await captures.answered('y\n', 'r', INSTALL, '--review');
  expect([code, stderr]).toEqual([0, expect.stringContaining('Store it as r@1? [y/N]')]);
  expect(await captures.templates()).toEqual(['r@1', 'tiny@1']);
  const lines = stdout.split('\n').map((line) => line.replaceAll(/ +/g, ' ').trim());
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^C \d+ B sh \/etc\/profile$/),
      'A 2 B sh /opt/r/file',
      'D rm /etc/host.conf',
      'run as their owner, whoever starts them (setuid): /opt/r/id',
      "removed, but an app can't take away what its base has, so they stay: /etc/host.conf",
      'left out by the rules: 1 by /root/.cache',
    ]),
  );
  expect(lines.find((line) => line.includes('/opt/r/id'))).toMatch(
    /cp, chmod \/opt\/r\/id \[setuid\]$/,
  );
});

test('as JSON it is stored with --yes only; a dry run never is', async () => {
  const asked = await captures.capture('j', INSTALL, '--review', '--json');
  expect(asked.code).toBe(EXIT.pending);
  const review = JSON.parse(asked.stdout) as CaptureJson;
  expect(review).toMatchObject({
    template: null,
    version: null,
    end: 'declined',
    traced: true,
    removed: [{ path: '/etc/host.conf', programs: ['rm'] }],
    leftOut: [{ rule: '/root/.cache', what: 'leave-out', files: 1, paths: ['/root/.cache/z'] }],
  });
  expect(review.paths).toContainEqual(
    expect.objectContaining({ kind: 'A', path: '/opt/r/file', programs: ['sh'], size: 2 }),
  );
  expect(review.findings).toContainEqual({ what: 'setuid', paths: ['/opt/r/id'] });
  const dry = await captures.capture('j', INSTALL, '--dry-run', '--yes', '--verbose');
  expect([dry.code, dry.stderr]).toEqual([0, '']);
  expect(dry.stdout).toContain('    /root/.cache/z\n');
  expect(dry.stdout).toMatch(/not stored\n$/);
  expect(await captures.templates()).not.toContain('j@1');
  const stored = await captures.captured('j', INSTALL, '--review', '--yes');
  expect(stored).toMatchObject({ end: 'stored', version: { number: 1 } });
});

test('what looks dangerous, or left behind, is said', async () => {
  const { findings } = await captures.captured(
    'odd',
    `mkdir -p /opt/odd /work; cd /opt/odd
     cp /usr/bin/id setgid; chmod 2755 setgid; mknod device c 1 3
     : >open; chmod 666 open; mkdir shared; chmod 1777 shared
     : >foreign; chown 12345:0 foreign; : >/work/file
     ln -s /nowhere/at/all dangling; ln -s ../../bin/sh fine; ln -s /run/odd later; ln -s loop loop
     : >shared/file; ln -s shared/file below; ln -s ../../usr/bin/id above`,
  );
  expect(findings).toEqual([
    { what: 'setgid', paths: ['/opt/odd/setgid'] },
    { what: 'device', paths: ['/opt/odd/device'] },
    { what: 'world-writable', paths: ['/opt/odd/open'] },
    { what: 'unnamed-owner', paths: ['/opt/odd/foreign'] },
    { what: 'dangling-symlink', paths: ['/opt/odd/dangling', '/opt/odd/loop'] },
    { what: 'unusual-place', paths: ['/work', '/work/file'] },
  ]);
});

test('what lets somebody in, or runs by itself, is said', async () => {
  const { findings } = await captures.captured(
    'in',
    `mkdir -p /root/.ssh /etc/sudoers.d /etc/cron.d /etc/init.d /etc/systemd/system/x.target.wants \
       /usr/lib/systemd/system /usr/share/polkit-1/rules.d /var/spool/cron/crontabs
     echo 'ssh-ed25519 AAAA me' >/root/.ssh/authorized_keys
     echo 'www-data ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/x; : >/usr/share/polkit-1/rules.d/x.rules
     : >/etc/cron.d/x; : >/var/spool/cron/crontabs/root; : >/usr/lib/systemd/system/x.timer
     : >/etc/init.d/x; : >/usr/lib/systemd/system/x.service
     ln -s /usr/lib/systemd/system/x.service /etc/systemd/system/x.target.wants/x.service`,
  );
  expect(findings).toEqual([
    { what: 'unusual-place', paths: ['/root/.ssh', '/root/.ssh/authorized_keys'] },
    { what: 'login-key', paths: ['/root/.ssh/authorized_keys'] },
    { what: 'privileges', paths: ['/etc/sudoers.d/x', '/usr/share/polkit-1/rules.d/x.rules'] },
    {
      what: 'scheduled',
      paths: ['/etc/cron.d/x', '/usr/lib/systemd/system/x.timer', '/var/spool/cron/crontabs/root'],
    },
    {
      what: 'service',
      paths: [
        '/etc/init.d/x',
        '/etc/systemd/system/x.target.wants/x.service',
        '/usr/lib/systemd/system/x.service',
      ],
    },
  ]);
});

const SET = `usermod -p '$6$salt$secret' root; useradd -p '$6$salt$other' bob; useradd carol; echo x >/opt/x`;
const passwordsIn = async (ref: string): Promise<Record<string, string>> => {
  const shadow = await captures.content(ref, '/etc/shadow');
  const fields = shadow
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
  return Object.fromEntries(fields.map(([name = '', password = '']) => [name, password]));
};

test('passwords that were set are left out, unless it is said', async () => {
  const was = (await captures.root.shell('"$1" template export tiny - | tar xO ./etc/shadow', '/'))
    .stdout;
  const root = /^root:([^:]*):/m.exec(was)?.[1];
  const out = await captures.captured('out', SET);
  expect(out).toMatchObject({ passwords: { of: ['root', 'bob'], kept: false } });
  expect(out.findings.map(({ what }) => what)).not.toContain('password');
  expect(await passwordsIn('out@1')).toMatchObject({ root, bob: '!', carol: '!' });
  const kept = await captures.captured('kept', SET, '--keep-passwords');
  expect(kept).toMatchObject({ passwords: { of: ['root', 'bob'], kept: true } });
  expect(kept.findings).toContainEqual({ what: 'password', paths: ['/etc/shadow'] });
  expect(await passwordsIn('kept@1')).toMatchObject({
    root: '$6$salt$secret',
    bob: '$6$salt$other',
    carol: '!',
  });
  // Nothing but a password: the file is the base's again, and not the app's.
  const { stdout } = await captures.capture('only', `echo x >/opt/y; usermod -p '$6$salt$z' root`);
  expect(stdout).toContain(
    'passwords that were set are left out, unless --keep-passwords is given: root\n',
  );
  expect(await captures.files('only@1')).not.toContain('/etc/shadow');
});

test('rules: those shown are the default; a file changes the lists that it has', async () => {
  const shown = await captures.root.ok('template', 'capture', '--show-rules');
  expect(parseRules(shown, 'shown')).toEqual(DEFAULT_RULES);
  expect(rulesText(parseRules(shown, 'shown'))).toBe(shown);
  const file = path.join(captures.root.base, 'rules.yaml');
  const script = `mkdir -p /opt/n/docs /var/log/n; echo a >/opt/n/docs/a; echo b >/opt/n/b.tmp
    echo schema >/var/log/n/schema; echo log >/var/log/n/log; echo c >/opt/n/conf`;
  writeFileSync(file, 'empty: [/var/log/*, /opt/n/conf]\nkeep: [/var/log/n/schema]\n');
  await captures.captured('n', script, '--rules', file);
  expect(await captures.content('n', '/var/log/n/schema')).toBe('schema\n');
  expect(await captures.content('n', '/var/log/n/log')).toBe('');
  expect(await captures.content('n', '/opt/n/conf')).toBe('');
  writeFileSync(file, 'leave-out:\n- "*.tmp"\n- /opt/*/docs\n');
  const second = await captures.captured('n', script, '--rules', file);
  expect(second.leftOut.map(({ rule, files }) => [rule, files])).toEqual(
    expect.arrayContaining([
      ['*.tmp', 1],
      ['/opt/*/docs', 1],
    ]),
  );
  expect((await captures.files('n@2')).filter((each) => each.startsWith('/opt'))).toEqual([
    '/opt/n/conf',
  ]);
  writeFileSync(file, 'leave-out: /root\nkept: []\nkeep:\n- 7\n- /fine\n- /\n');
  const bad = await captures.capture('n', script, '--rules', file);
  expect(bad.code).toBe(EXIT.badInput);
  expect(
    bad.stderr.replaceAll(`${file}:`, ''),
  ).toContain(`byref: 1: leave-out: "/root" is not a list, each a path pattern, such as /root/.cache or *.pid
2: kept: no such field; there are leave-out, empty, keep
4: keep: 7 is not a path pattern, such as /root/.cache or *.pid
6: keep: "/" is not a path pattern, such as /root/.cache or *.pid
`);
  const missing = await captures.capture('n', script, '--rules', `${file}.none`);
  expect(missing.code).toBe(EXIT.notFound);
});

test('a cache from which files were hard-linked is left out, and they are not', async () => {
  await captures.captured(
    'linked',
    `mkdir -p /root/.cache /usr/lib/linked; echo content >/root/.cache/file
     ln /root/.cache/file /usr/lib/linked/one; ln /root/.cache/file /usr/lib/linked/two`,
  );
  expect(
    await captures.inEnv(['linked'], 'cd /usr/lib/linked; cat one; stat -c %h one; ls /root'),
  ).toBe('content\n2\n');
});

test('the rules are those that docs/reference/building.md and capturing.md show', () => {
  const reference = path.join(import.meta.dirname, '../../docs/reference');
  const docs = ['building.md', 'capturing.md']
    .map((file) => readFileSync(path.join(reference, file), 'utf8'))
    .join('\n');
  for (const rule of Object.values(DEFAULT_RULES).flat()) expect(docs).toContain(`\`${rule}\``);
});
