import * as fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RECORDS_VERSION } from '../../src/ipc/records-version.ts';
import { KILL_STEP } from '../support/damage/failpoints.ts';
import { RawControl, runFile } from '../support/machine/control-socket.ts';
import { writeFiles } from '../support/machine/patch-root.ts';
import { TestRoot } from '../support/machine/root.ts';
import * as sys from '../syscalls/index.ts';

const TEMPLATE = {
  'etc/conf': 'from the template\n',
  'etc/other': 'another\n',
  'etc/shared': 'read while it is written\n',
  'srv/gone/file': 'in a directory that goes\n',
  ...Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`many/f${i}`, String(i)])),
};
const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants;
const O_TMPFILE = 0o20200000;
const LOCK_EX_NB = 2 | 4;

let root: TestRoot;
let at: string;
const opened: number[] = [];

beforeEach(async () => {
  root = await TestRoot.create({ BYREF_RESUME: '1' });
  writeFiles(root.directory('one'), TEMPLATE);
  await root.ok('template', 'import', 't', root.directory('one'));
  await root.ok('create', 'e', '--os', 't');
});
afterEach(async () => {
  for (const fd of opened.splice(0)) fs.closeSync(fd);
  await root.dispose();
});

/** Mounts the env; its files by path from then on. */
async function mount(...options: string[]): Promise<void> {
  at = await root.mount('e', ...options);
}

function open(file: string, flags: number): number {
  const fd = fs.openSync(path.join(at, file), flags, 0o644);
  opened.push(fd);
  return fd;
}

/** All bytes of an open file. */
function bytesOf(fd: number): string {
  const bytes = Buffer.alloc(4096);
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, 0)).toString();
}

async function killDriver(): Promise<void> {
  const { driverPid } = await root.info('e');
  process.kill(driverPid!, 'SIGKILL');
}

const read = (file: string): string => fs.readFileSync(path.join(at, file), 'utf8');

describe.each([
  ['with passthrough', []],
  ['without passthrough', ['--no-passthrough']],
])('a driver that is killed, %s', (_, options) => {
  test('open files of every kind go on, and end as they would have', async () => {
    await mount(...options);
    fs.writeFileSync(path.join(at, 'own'), 'own\n');
    const files = {
      own: open('own', O_RDWR),
      template: open('etc/conf', O_RDONLY),
      appends: open('log', O_RDWR | O_CREAT | O_APPEND),
      unlinked: open('unlinked', O_RDWR | O_CREAT | O_EXCL),
      unlinkedTemplate: open('etc/other', O_RDONLY),
      unnamed: sys.open(at, O_TMPFILE | O_RDWR, 0o600),
    };
    opened.push(files.unnamed);
    for (const fd of [files.appends, files.unlinked, files.unnamed]) fs.writeSync(fd, 'before ');
    fs.unlinkSync(path.join(at, 'unlinked'));
    fs.unlinkSync(path.join(at, 'etc/other'));
    expect(sys.tryFlock(files.own, LOCK_EX_NB)).toBe(true);
    const half = open('many', O_RDONLY);
    const names = sys.readEntries(half, 2048);
    const mapping = sys.Mapping.ofFile(files.own, 4, sys.MAP_SHARED);

    await killDriver();

    fs.writeSync(files.own, 'OWN', 0);
    expect(mapping.text(0, 4)).toBe('OWN\n');
    mapping.write(0, 'Map');
    mapping.sync();
    mapping.unmap();
    expect(read('own')).toBe('Map\n');
    expect(bytesOf(files.template)).toBe(TEMPLATE['etc/conf']);
    expect(bytesOf(files.unlinkedTemplate)).toBe(TEMPLATE['etc/other']);
    expect(fs.fstatSync(files.unlinkedTemplate).nlink).toBe(0);
    for (const fd of [files.appends, files.unlinked, files.unnamed]) {
      fs.writeSync(fd, 'after', fd === files.appends ? null : 7);
      expect(bytesOf(fd)).toBe('before after');
    }
    expect(fs.fstatSync(files.unlinked).nlink).toBe(0);
    sys.linkAt(files.unnamed, '', path.join(at, 'named'), sys.AT_EMPTY_PATH);
    expect(read('named')).toBe('before after');
    const all = [...names, ...sys.readAllEntries(half)].map(({ name }) => name.toString());
    expect(all.filter((name) => name.startsWith('f'))).toHaveLength(400);
    expect(new Set(all).size).toBe(all.length);
    const other = open('own', O_RDWR);
    expect(sys.tryFlock(other, LOCK_EX_NB)).toBe(false);
    for (const fd of opened.splice(0)) fs.closeSync(fd);
    expect(sys.tryFlock(open('own', O_RDWR), LOCK_EX_NB)).toBe(true);
    expect(fs.existsSync(path.join(at, 'unlinked'))).toBe(false);
    expect(fs.readFileSync(path.join(at, 'log'), 'utf8')).toBe('before after');
    for (const fd of opened.splice(0)) fs.closeSync(fd);
    // Nothing is kept of what is closed and has no name.
    await root.umount('e');
    expect(await root.findings()).toEqual([]);
    expect(fs.readdirSync(path.join(root.path, 'envs/1/private'))).toHaveLength(3);
  });

  test('a program goes on in its working directory, also in one that was removed', async () => {
    await mount(...options);
    const [ready, killed, said] = ['ready', 'killed', 'said'].map((name) =>
      path.join(root.base, name),
    ) as [string, string, string];
    const program = root.background(
      `exec >"$4" 2>&1; cd "$1/srv/gone"; mkdir -p "$1/own/deep"
       (cd "$1/own/deep"; rmdir "$1/own/deep"; touch "$2.removed"
        until [ -e "$3" ]; do sleep 0.02; done
        ls -a; echo x >file || echo refused)
       until [ -e "$3" ]; do sleep 0.02; done
       pwd; cat file; echo own >here; cat ../../etc/conf; cd ..; pwd; ls gone`,
      at,
      ready,
      killed,
      said,
    );
    await expect.poll(() => fs.existsSync(`${ready}.removed`)).toBe(true);
    await killDriver();
    fs.writeFileSync(killed, '');
    await expect.poll(() => program.exitCode, { timeout: 30_000 }).toBe(0);
    const lines = fs.readFileSync(said, 'utf8').split('\n');
    expect(lines.filter((line) => !line.includes('No such file'))).toEqual([
      'refused',
      path.join(at, 'srv/gone'),
      TEMPLATE['srv/gone/file'].trim(),
      TEMPLATE['etc/conf'].trim(),
      path.join(at, 'srv'),
      'file',
      'here',
      '',
    ]);
  });

  test('readers keep the bytes they opened, when the file was copied for a writer', async () => {
    await mount(...options);
    const reader = open('etc/shared', O_RDONLY);
    expect(bytesOf(reader)).toBe(TEMPLATE['etc/shared']);
    const writer = open('etc/shared', O_RDWR);
    fs.writeSync(writer, 'READ', 0);
    await killDriver();
    const seen = bytesOf(reader);
    expect([TEMPLATE['etc/shared'], `READ${TEMPLATE['etc/shared'].slice(4)}`]).toContain(seen);
    fs.writeSync(writer, 'XXXX', 0);
    expect(read('etc/shared').slice(0, 8)).toBe('XXXX whi');
    expect(bytesOf(open('etc/shared', O_RDONLY)).slice(0, 4)).toBe('XXXX');
    fs.writeSync(open('etc/shared', O_RDWR), 'YYYY', 0);
    expect(read('etc/shared').slice(0, 4)).toBe('YYYY');
  });

  test('files of a version that a patch took away can be read on, and the env follows the next patch', async () => {
    await mount(...options);
    writeFiles(root.directory('two'), { 'etc/conf': 'of version 2\n', 'etc/new': 'new\n' });
    await root.ok('template', 'import', 't', root.directory('two'));
    const [conf, file] = [open('etc/conf', O_RDONLY), open('srv/gone/file', O_RDONLY)];
    const dir = open('srv/gone', O_RDONLY);
    await root.ok('patch', 't');
    await killDriver();
    expect(read('etc/conf')).toBe('of version 2\n');
    expect(bytesOf(conf)).toBe(TEMPLATE['etc/conf']);
    expect(bytesOf(file)).toBe(TEMPLATE['srv/gone/file']);
    expect(sys.readAllEntries(dir).map(({ name }) => name.toString())).toContain('file');
    await root.ok('rollback', 't');
    expect(read('etc/conf')).toBe(TEMPLATE['etc/conf']);
    expect(read('srv/gone/file')).toBe(TEMPLATE['srv/gone/file']);
    await killDriver();
    expect(read('etc/other')).toBe(TEMPLATE['etc/other']);
  });
});

test('commands wait for the driver that takes over', async () => {
  await mount();
  await killDriver();
  expect((await root.info('e')).state).toBe('mounted');
  await killDriver();
  await root.ok('umount', 'e');
  expect(await root.json('list')).toMatchObject([{ state: 'stopped' }]);
});

test('a mount whose env can not be opened again is ended, and the others go on', async () => {
  await root.ok('create', 'f', '--os', 't');
  await mount();
  const other = await root.mount('f');
  fs.writeFileSync(path.join(at, 'file'), 'file');
  await root.umount('e');
  await mount();
  await killDriver();
  const table = path.join(root.path, 'envs/1/link/data.mdb');
  fs.truncateSync(table, 4096);
  expect(fs.readFileSync(path.join(other, 'etc/conf'), 'utf8')).toBe(TEMPLATE['etc/conf']);
  const states = async (): Promise<string[]> =>
    (await root.json<{ state: string }[]>('list')).map(({ state }) => state);
  await expect.poll(states).toEqual(['stopped', 'mounted']);
  expect(fs.readdirSync(at)).toEqual([]);
});

test('a driver that is killed at any point of a flip goes on with it', async () => {
  writeFiles(root.directory('two'), { 'etc/conf': 'of version 2\n', 'etc/new': 'new\n' });
  await root.ok('template', 'import', 't', root.directory('two'));
  const points = ['flip-added', 'flip-acted', 'flip-end', 'flip-begin', 'flip-changed'];
  for (const point of points.filter((_point, i) => i % KILL_STEP === 0)) {
    const { code, stderr } = await root.run(['mount', 'e'], {
      env: { ...root.env, BYREF_FAILPOINT: `${point}:1` },
    });
    expect(code, stderr).toBe(0);
    at = path.join(root.path, 'mnt/e');
    const conf = open('etc/conf', O_RDONLY);
    fs.writeFileSync(path.join(at, 'etc/other'), 'mine\n');
    const { driverPid } = await root.info('e');
    const { envs } = await root.json<{ envs: { outcome: string }[] }>(
      'patch',
      't',
      ...['--to', '2'],
      '--take',
      '/etc',
    );
    expect(
      envs.map(({ outcome }) => outcome),
      point,
    ).toEqual(['flipped']);
    expect((await root.info('e')).driverPid, point).not.toBe(driverPid);
    expect([read('etc/conf'), read('etc/new'), bytesOf(conf)], point).toEqual([
      'of version 2\n',
      'new\n',
      TEMPLATE['etc/conf'],
    ]);
    expect(fs.existsSync(path.join(at, 'etc/other')), point).toBe(false);
    await root.ok('rollback', 't');
    expect([read('etc/conf'), read('etc/other')], point).toEqual([TEMPLATE['etc/conf'], 'mine\n']);
    fs.closeSync(opened.pop()!);
    await root.umount('e');
    await expect.poll(() => root.processes(), { timeout: 10_000 }).toEqual([]);
  }
});

test('requests that were carried out and not answered are answered as done', async () => {
  // Each is a request of another kind.
  for (let n = 1; ; n += KILL_STEP) {
    const { code, stderr } = await root.run(['mount', 'e'], {
      env: { ...root.env, BYREF_FAILPOINT: `committed:${n}` },
    });
    expect(code, stderr).toBe(0);
    at = path.join(root.path, 'mnt/e');
    const { driverPid } = await root.info('e');
    const dir = path.join(at, `d${n}`);
    const in_ = (name: string): string => path.join(dir, name);
    fs.mkdirSync(dir);
    fs.writeFileSync(in_('created'), 'created', { flag: 'wx' });
    sys.makeNode(in_('fifo'), fs.constants.S_IFIFO | 0o644);
    fs.symlinkSync('to', in_('symlink'));
    fs.linkSync(in_('created'), in_('linked'));
    fs.renameSync(in_('created'), in_('renamed'));
    sys.setXattr(in_('linked'), 'user.name', 'value', sys.XATTR_CREATE);
    fs.unlinkSync(in_('symlink'));
    fs.mkdirSync(in_('sub'));
    fs.rmdirSync(in_('sub'));
    expect(fs.readdirSync(dir).sort()).toEqual(['fifo', 'linked', 'renamed']);
    expect(fs.statSync(in_('renamed')).nlink).toBe(2);
    expect(fs.readFileSync(in_('linked'), 'utf8')).toBe('created');
    const isOver = (await root.info('e')).driverPid === driverPid;
    await root.umount('e');
    await expect.poll(() => root.processes(), { timeout: 10_000 }).toEqual([]);
    if (!isOver) continue;
    expect(n).toBeGreaterThan(9);
    return;
  }
});

test('daemon upgrade moves envs to another driver, while a program writes', async () => {
  await mount();
  const { driverPid } = await root.info('e');
  const fd = open('log', O_RDWR | O_CREAT | O_APPEND);
  fs.writeSync(fd, 'before ');
  const writer = root.background(
    'for i in $(seq 1 300); do echo $i >"$1/$i" || exit 1; done; touch "$1/end"',
    at,
  );
  const upgraded = await root.json<{ envs: number; pid: number }[]>('daemon', 'upgrade');
  expect(upgraded).toMatchObject([{ envs: 1 }]);
  expect((await root.info('e')).driverPid).toBe(upgraded[0]!.pid);
  expect(upgraded[0]!.pid).not.toBe(driverPid);
  fs.writeSync(fd, 'after');
  expect(read('log')).toBe('before after');
  await expect.poll(() => fs.existsSync(path.join(at, 'end')), { timeout: 60_000 }).toBe(true);
  expect(writer.exitCode ?? 0).toBe(0);
  for (let i = 1; i <= 300; i++) expect(read(String(i))).toBe(`${i}\n`);
});

test('a driver does not leave its mounts to one that knows other records', async () => {
  await mount();
  const { driverPid } = await root.info('e');
  const driver = await RawControl.to(runFile(root, 'shard-0.sock'));
  const reply = await driver.request('leave', { records: RECORDS_VERSION + 1, restart: ['true'] });
  driver.close();
  expect(reply?.error).toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining("can't leave its mounts to the other one"),
    hint: 'Unmount its envs, then mount them again: byref umount --all; byref mount --all',
  });
  fs.writeFileSync(path.join(at, 'after'), 'goes on\n');
  expect(read('after')).toBe('goes on\n');
  expect((await root.info('e')).driverPid).toBe(driverPid);
});

test('daemon upgrade while the checkpoint thread is in a transaction', async () => {
  const hits = path.join(root.base, 'hits');
  const held = { BYREF_FAILPOINT: 'checkpoint-put:1:hold', BYREF_FAILPOINT_HITS: hits };
  const { code, stderr } = await root.run(['mount', 'e'], { env: { ...root.env, ...held } });
  expect(code, stderr).toBe(0);
  at = path.join(root.path, 'mnt/e');
  fs.writeFileSync(path.join(at, 'file'), 'file');
  const isHeld = (): boolean => fs.readFileSync(hits, 'utf8').includes('fault checkpoint-put');
  await expect.poll(isHeld, { timeout: 30_000 }).toBe(true);
  const upgraded = await root.json<{ envs: number }[]>('daemon', 'upgrade');
  expect(upgraded).toMatchObject([{ envs: 1 }]);
  expect(read('file')).toBe('file');
});

test('a driver that hangs is ended, and another one goes on', async () => {
  await root.umount();
  await root.dispose();
  root = await TestRoot.create({ BYREF_RESUME: '1', BYREF_HANG_MS: '1200' });
  writeFiles(root.directory('one'), TEMPLATE);
  await root.ok('template', 'import', 't', root.directory('one'));
  await root.ok('create', 'e', '--os', 't');
  await mount();
  const fd = open('log', O_RDWR | O_CREAT);
  const { driverPid } = await root.info('e');
  process.kill(driverPid!, 'SIGSTOP');
  const written = await root.shell('echo after >after && cat after etc/conf', at);
  expect(written).toMatchObject({ code: 0, stdout: 'after\nfrom the template\n' });
  fs.writeSync(fd, 'goes on');
  expect(bytesOf(fd)).toBe('goes on');
  expect((await root.info('e')).driverPid).not.toBe(driverPid);
  const run = root.env['BYREF_RUN']!;
  const log = fs.readFileSync(path.join(run, fs.readdirSync(run)[0]!, 'holder.log'), 'utf8');
  expect(log).toContain('a driver hangs, and is ended');
});
