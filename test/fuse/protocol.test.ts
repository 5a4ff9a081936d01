import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Granted } from '../../src/driver/fuse/init.ts';
import type { SessionStats } from '../../src/driver/fuse/session.ts';
import { CHECKS } from './checks.ts';
import { Served } from './served.ts';
import { TOGETHER } from './small-file-system.ts';

interface End extends SessionStats {
  readonly errno: number;
  readonly held: number;
}

const MODES: Readonly<Record<string, readonly string[]>> = {
  passthrough: [],
  'no passthrough': ['--no-passthrough'],
  'late answers': ['--no-passthrough', '--late'],
};

describe.each(Object.keys(MODES))('%s', (mode) => {
  test('the kernel and we agree on every operation', async () => {
    await using served = new Served(MODES[mode] ?? []);
    const granted = await served.line<Granted>();
    expect(granted.passthrough).toBe(mode === 'passthrough' && granted.minor >= 40);
    const results = JSON.parse(await served.client('client.ts')) as Record<string, string | null>;
    expect(results).toEqual(Object.fromEntries(Object.keys(CHECKS).map((name) => [name, null])));

    served.signal('SIGTERM');
    const end = await served.line<End>();
    expect(end.errno).toBe(19);
    expect(end.pending).toBe(0);
    expect(end.faults).toBe(3);
    const { requests } = end;
    expect(requests['OPENDIR']).toBe(1);
    expect(requests['FLUSH'] ?? 0).toBeLessThanOrEqual(1);
    expect(requests['STATX']).toBeGreaterThan(0);
    if (granted.minor >= 45) expect(requests['COPY_FILE_RANGE_64']).toBeGreaterThan(0);
    if (mode === 'passthrough') expect(requests['READ'] ?? 0).toBe(0);
  });
});

test.each(['passthrough', 'no passthrough'])(
  'opens that are answered at once each get their own file: %s',
  async (mode) => {
    await using served = new Served(MODES[mode] ?? []);
    await served.line<Granted>();
    const files = TOGETHER.map((name) => path.join(served.mountpoint, name));
    await served.shell(files.map((file) => `echo ${path.basename(file)} > ${file}`).join('; '));
    const read = await Promise.all(files.map((file) => served.shell(`cat ${file}`)));
    expect(read).toEqual(TOGETHER.map((name) => `${name}\n`));
    await Promise.all(files.map((file) => served.shell(`echo of ${file} >> ${file}`)));
    const again = await Promise.all(files.map((file) => served.shell(`cat ${file}`)));
    expect(again).toEqual(TOGETHER.map((name, i) => `${name}\nof ${files[i]}\n`));
  },
);

test('names are asked for again once they were dropped, and not before', async () => {
  await using served = new Served([]);
  await served.line<Granted>();
  const file = path.join(served.mountpoint, 'file');
  await served.shell(`touch ${file}; for i in 1 2 3 4 5 6 7 8 9; do stat ${file}; done`);
  served.signal('SIGUSR1');
  await sleep(200);
  await served.shell(`stat ${file}`);
  served.signal('SIGTERM');
  const { requests } = await served.line<End>();
  // Once before it was made, once after it was dropped.
  expect(requests['LOOKUP']).toBe(2);
});

test('a signal ends a call that waits', async () => {
  await using served = new Served([]);
  await served.line<Granted>();
  const file = path.join(served.mountpoint, 'waits');
  const command = `mknod ${file} p && rm ${file}; (umask 0; : > ${file}.x; mv ${file}.x ${file}); timeout 0.5 cat ${file}; echo $?`;
  expect((await served.shell(command)).trim()).toBe('124');
  // The mount serves on while one call waits.
  expect(await served.shell(`stat -c %F ${served.mountpoint}`)).toBe('directory\n');
  served.signal('SIGTERM');
  const end = await served.line<End>();
  expect(end.pending).toBe(0);
  expect(end.requests['INTERRUPT']).toBe(1);
});

test('the wire log has one line per request', async () => {
  const log = path.join(tmpdir(), `wire-${String(process.pid)}.log`);
  await using served = new Served([], { BYREF_WIRE_LOG: log });
  await served.line<Granted>();
  await served.shell(`cat ${served.mountpoint}/absent || true`);
  served.signal('SIGTERM');
  await served.line<End>();
  const lines = readFileSync(log, 'latin1').trim().split('\n');
  rmSync(log);
  expect(lines[0]).toMatch(/^#\d+ INIT node 0 uid 0 pid \d+ in \d+ -> 80 bytes$/);
  expect(lines).toContainEqual(
    expect.stringMatching(/^#\d+ LOOKUP node 1 uid \d+ pid \d+ in 47 -> 144 bytes$/),
  );
});

test('requests wait while a session is handed over, and none fails', async () => {
  await using served = new Served([]);
  await served.line<Granted>();
  const { mountpoint } = served;
  await served.shell(`echo before > ${mountpoint}/file`);
  served.signal('SIGUSR2');
  await sleep(100);
  expect(await served.shell(`cat ${mountpoint}/file; mkdir ${mountpoint}/sub && echo made`)).toBe(
    'before\nmade\n',
  );
  served.signal('SIGTERM');
  const end = await served.line<End>();
  expect(end.errno).toBe(19);
  expect(end.requests['INIT']).toBeUndefined();
});

test.each([[[]], [['--older']]])(
  'the kernel forgets what is not in use when it is asked to %j',
  async (flags) => {
    await using served = new Served(flags);
    await served.line<Granted>();
    const { mountpoint } = served;
    await served.shell(`mkdir ${mountpoint}/d; touch ${mountpoint}/d/a ${mountpoint}/b`);
    if (flags.length > 0) served.signal('SIGUSR2');
    await sleep(500);
    // The mount point inside is in use, and stays one.
    await served.shell(`mount --bind /dev/null ${mountpoint}/b; stat ${mountpoint}/d/a`);
    served.signal('SIGHUP');
    const first = await served.line<Pick<End, 'held'>>();
    served.signal('SIGHUP');
    // What a directory has in it goes before it.
    const { held } = flags.length > 0 ? first : await served.line<Pick<End, 'held'>>();
    expect(held).toBe(1);
    expect(await served.shell(`umount ${mountpoint}/b && stat -c %n ${mountpoint}/d/a`)).toBe(
      `${mountpoint}/d/a\n`,
    );
  },
);

test('an id-mapped clone of the mount shows and stores shifted owners', async () => {
  await using served = new Served([]);
  const granted = await served.line<Granted>();
  if (!granted.idmap) return;
  const target = `${served.mountpoint}-mapped`;
  mkdirSync(target);
  const owners: unknown = JSON.parse(await served.client('idmap-client.ts', target));
  expect(owners).toEqual({ through: [100_005, 100_006], direct: [5, 6] });
});

test('no mount of this file is left', () => {
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toMatch(/byref:small/);
});
