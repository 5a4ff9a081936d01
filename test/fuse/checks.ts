/** What the kernel makes of our answers: each check works in a directory of its own on the mount. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import * as sys from '../syscalls/index.ts';

export type Check = (directory: string) => void;

const code = (expected: string) => (error: unknown) =>
  (error as { code: string }).code === expected;

const attributes: Check = (directory) => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, 'hello', { mode: 0o640 });
  fs.chmodSync(file, 0o4711);
  fs.chownSync(file, 12, 34);
  sys.setTimes(file, { sec: -5, nsec: 7 }, { sec: 5_000_000_000, nsec: 999_999_999 });
  const stat = fs.lstatSync(file, { bigint: true });
  assert.deepEqual([stat.uid, stat.gid, stat.size, stat.nlink], [12n, 34n, 5n, 1n]);
  assert.equal(stat.atimeNs, -4_999_999_993n);
  assert.equal(stat.mtimeNs, 5_000_000_000_999_999_999n);
  assert.equal(stat.birthtimeNs, 1_000_000_000_000_000_005n);
  fs.truncateSync(file, 2 ** 33);
  assert.equal(fs.statSync(file).size, 2 ** 33);
};

const data: Check = (directory) => {
  const file = path.join(directory, 'file');
  const bytes = Buffer.alloc(3 * 1024 * 1024, 'abcdefg');
  fs.writeFileSync(file, bytes);
  assert.ok(fs.readFileSync(file).equals(bytes));
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, 'XYZ', 1_500_000);
  assert.equal(fs.readFileSync(file).toString('latin1', 1_500_000, 1_500_003), 'XYZ');
  fs.fsyncSync(fd);
  fs.fdatasyncSync(fd);
  assert.equal(fs.readSync(fd, Buffer.alloc(10), 0, 10, bytes.length), 0);
  fs.closeSync(fd);
};

const ranges: Check = (directory) => {
  const fd = fs.openSync(path.join(directory, 'file'), 'w+');
  sys.allocate(fd, 0, 0, 65_536);
  fs.ftruncateSync(fd, 0);
  fs.writeSync(fd, 'data', 1 << 20);
  assert.equal(sys.seek(fd, 0, 3), 1 << 20);
  assert.equal(sys.seek(fd, 0, 4), 0);
  const to = fs.openSync(path.join(directory, 'copy'), 'w+');
  assert.equal(sys.copyRange(fd, 1 << 20, to, 100, 4), 4);
  assert.equal(fs.readFileSync(path.join(directory, 'copy')).toString('latin1', 100), 'data');
  for (const open of [fd, to]) fs.closeSync(open);
};

const names: Check = (directory) => {
  const at = (name: string): string => path.join(directory, name);
  fs.writeFileSync(at('a'), 'a');
  fs.linkSync(at('a'), at('b'));
  assert.equal(fs.statSync(at('b')).nlink, 2);
  fs.symlinkSync('some/where', at('link'));
  assert.equal(fs.readlinkSync(at('link')), 'some/where');
  fs.renameSync(at('b'), at('c'));
  assert.throws(() => sys.renameWith(at('a'), at('link'), 1), code('EEXIST'));
  sys.renameWith(at('c'), at('link'), 2);
  assert.equal(fs.readlinkSync(at('c')), 'some/where');
  sys.makeNode(at('fifo'), 0o010644);
  assert.ok(fs.statSync(at('fifo')).isFIFO());
  sys.makeNode(at('device'), 0o020600, sys.makeDevice(300, 70_000));
  assert.equal(fs.statSync(at('device')).rdev, sys.makeDevice(300, 70_000));
  fs.unlinkSync(at('a'));
  assert.equal(fs.existsSync(at('a')), false);
  fs.mkdirSync(at('sub'));
  assert.throws(() => fs.rmdirSync(directory), code('ENOTEMPTY'));
  fs.rmdirSync(at('sub'));
};

const strangeNames: Check = (directory) => {
  const bytes = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0x80, 0x0a])]);
  fs.writeFileSync(bytes, 'x');
  const listed = fs.readdirSync(directory, { encoding: 'buffer' });
  assert.deepEqual(listed, [Buffer.from([0xff, 0x80, 0x0a])]);
  const longest = path.join(directory, 'n'.repeat(255));
  fs.writeFileSync(longest, 'y');
  assert.throws(() => fs.statSync(`${longest}n`), code('ENAMETOOLONG'));
};

const listing: Check = (directory) => {
  const expected = Array.from(
    { length: 500 },
    (_, i) => `entry-${'x'.repeat(i % 60)}-${String(i)}`,
  );
  for (const name of expected) fs.writeFileSync(path.join(directory, name), '');
  fs.mkdirSync(path.join(directory, 'sub'));
  const listed = fs.readdirSync(directory, { withFileTypes: true });
  const files = listed.filter((entry) => entry.isFile()).map((entry) => entry.name);
  assert.deepEqual(files.sort(), expected.sort());
  assert.equal(listed.find((entry) => entry.isDirectory())?.name, 'sub');
  const fd = fs.openSync(directory, 'r');
  const raw = sys.readAllEntries(fd, 300);
  assert.equal(raw.length, expected.length + 3);
  assert.equal(new Set(raw.map((entry) => entry.cookie)).size, raw.length);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
};

const attributesByName: Check = (directory) => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, '');
  const big = Buffer.alloc(60_000, 'v');
  sys.setXattr(file, 'user.small', 'value');
  sys.setXattr(file, 'user.big', big);
  sys.setXattr(file, 'user.empty', '');
  assert.deepEqual(sys.listXattrs(file), ['user.big', 'user.empty', 'user.small']);
  assert.ok(sys.getXattr(file, 'user.big').equals(big));
  assert.equal(sys.getXattr(file, 'user.empty').length, 0);
  const tooSmall = Buffer.alloc(3);
  const result = sys.rawCall('lgetxattr', sys.cString(file), 'user.small', tooSmall, 3);
  assert.equal(result, -34);
  assert.equal(sys.rawCall('lgetxattr', sys.cString(file), 'user.small', tooSmall, 0), 5);
  sys.removeXattr(file, 'user.small');
  assert.throws(() => sys.getXattr(file, 'user.small'), code('ENODATA'));
};

const unnamedFile: Check = (directory) => {
  const O_TMPFILE = 0o20200000;
  const fd = sys.open(directory, O_TMPFILE | 2, 0o600);
  fs.writeSync(fd, 'unnamed');
  const named = path.join(directory, 'named');
  sys.linkAt(-100, `/proc/self/fd/${String(fd)}`, named, 0x400);
  assert.equal(fs.readFileSync(named, 'latin1'), 'unnamed');
  fs.closeSync(fd);
};

const handles: Check = (directory) => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, 'by handle');
  const handle = sys.nameToHandle(file);
  const mount = fs.openSync(directory, 'r');
  fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
  const fd = sys.openHandle(mount, handle, 0);
  assert.equal(fs.readFileSync(fd, 'latin1'), 'by handle');
  for (const open of [fd, mount]) fs.closeSync(open);
};

const staleOpen: Check = (directory) => {
  const file = path.join(directory, 'stale-once');
  sys.makeNode(file, 0o100644);
  fs.closeSync(fs.openSync(file, 'r'));
};

const thrown: Check = (directory) => {
  const file = path.join(directory, 'throws');
  for (let i = 0; i < 3; i++) assert.throws(() => fs.statSync(file), code('EIO'));
};

const absent: Check = (directory) => {
  for (let i = 0; i < 100; i++) assert.equal(fs.existsSync(path.join(directory, 'absent')), false);
  fs.writeFileSync(path.join(directory, 'absent'), '');
  assert.ok(fs.existsSync(path.join(directory, 'absent')));
};

const mapped: Check = (directory) => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, Buffer.alloc(8192, 'm'));
  const fd = fs.openSync(file, 'r+');
  const map = sys.Mapping.ofFile(fd, 8192, 1);
  assert.equal(map.text(5000, 3), 'mmm');
  map.write(5000, 'NEW');
  map.sync();
  map.unmap();
  fs.closeSync(fd);
  assert.equal(fs.readFileSync(file).toString('latin1', 4999, 5004), 'mNEWm');
};

const space: Check = (directory) => {
  const { bsize, blocks, bfree, bavail, files, ffree } = fs.statfsSync(directory);
  assert.deepEqual([bsize, blocks, bfree, bavail, files, ffree], [4096, 100, 50, 40, 30, 20]);
};

export const CHECKS: Readonly<Record<string, Check>> = {
  attributes,
  data,
  ranges,
  names,
  'names of any bytes': strangeNames,
  listing,
  'extended attributes': attributesByName,
  'a file without a name': unnamedFile,
  'file handles outlive the dentry cache': handles,
  'ESTALE from open is looked up again': staleOpen,
  'an exception is EIO for its operation': thrown,
  'an absent name is kept, until it is made': absent,
  'a shared mapping': mapped,
  'free space': space,
};
