import { expect, test } from 'vitest';
import { programName } from '../../src/driver/process/writers/program-name.ts';

const CASES: readonly (readonly [name: string, exe: string, ...args: string[]])[] = [
  ['dpkg', '/usr/bin/dpkg', 'dpkg', '-i', 'x.deb'],
  ['cp', '/x/mnt/env/usr/bin/cp (deleted)', 'cp', 'a', 'b'],
  ['sh', '/usr/bin/dash', 'sh', '-c', 'echo > f'],
  ['sh', '/usr/bin/dash', 'sh', '-ec', 'echo > f'],
  ['sh', '/usr/bin/dash', '/bin/sh'],
  ['sh', '/usr/bin/dash', 'sh', '-s', '--', 'an-argument'],
  ['bash', '/usr/bin/bash', '-bash'],
  ['bash', '/usr/bin/bash', 'bash', '/dev/fd/63'],
  ['sh install.sh', '/usr/bin/dash', 'sh', 'install.sh', '-c'],
  ['sh x.postinst', '/usr/bin/dash', '/bin/sh', '-e', '/var/lib/dpkg/info/x.postinst'],
  ['bash run', '/usr/bin/bash', 'bash', '-euo', 'pipefail', '--', './run'],
  ['bash', '/usr/bin/bash', 'bash', '-o', 'pipefail', '-c', 'x'],
  ['perl debconf', '/usr/bin/perl', '/usr/bin/perl', '-w', '/usr/sbin/debconf'],
  ['perl', '/usr/bin/perl', 'perl', '-pi', '-we', 's/a/b/', 'file'],
  ['perl tool', '/usr/bin/perl5.36.0', 'perl', '-MFile', '-I', 'lib', 'tool'],
  ['python3 pip', '/usr/bin/python3.11', 'python3', '-m', 'pip', 'install', 'x'],
  ['python3 pip', '/usr/bin/python3.11', '/usr/bin/python3', '/usr/bin/pip', 'install', 'x'],
  ['python3', '/usr/bin/python3.11', 'python3', '-c', 'x'],
  ['python3 x.py', '/usr/bin/python3.11', 'python3', '-W', 'ignore', '-u', 'x.py'],
  ['node npm', '/usr/bin/node', 'node', '/usr/bin/npm', 'install'],
  ['node npm', '/usr/bin/node', 'npm', ''],
  ['node npm', '/usr/bin/node', 'npm install left-pad', '', ''],
  ['node', '/usr/bin/node', 'node', '-e', 'x'],
  ['node x.mjs', '/usr/bin/node', 'node', '--import', 'tsx', '--no-warnings', 'x.mjs'],
  ['ruby gem', '/usr/bin/ruby3.1', 'ruby', '/usr/bin/gem'],
  ['php x.php', '/usr/bin/php8.2', 'php', '-d', 'a=b', '-f', 'x.php'],
  ['bash', '/usr/bin/bash', 'another name'],
  ['cp', '/bin/busybox', '/bin/cp', 'a', 'b'],
  ['cp', '/bin/busybox', 'busybox', 'cp', 'a', 'b'],
  ['', '', ''],
];

const processes = CASES.map(([name, exe, ...args]) => ({ name, exe, args }));

test.each(processes)('$exe $args is "$name"', ({ name, exe, args }) => {
  expect(programName({ exe, args })).toBe(name);
});

test('a name is printable, and not long', () => {
  const name = programName({ exe: `/a\n\u{1F600}${'x'.repeat(300)}`, args: [] });
  expect(name).toMatch(/^a\?\?\?x+$/);
  expect(name).toHaveLength(64);
});
