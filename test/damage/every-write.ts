/** Changes files of an env in every way that there is, and checks each: `every-write.ts MOUNTPOINT`. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import * as sys from '../syscalls/index.ts';

const { O_APPEND, O_CREAT, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = fs.constants;
const O_TMPFILE = 0o20200000;

const [, , mountpoint = ''] = process.argv;
const at = (name: string): string => path.join(mountpoint, name);
const text = (name: string): string => fs.readFileSync(at(name), 'utf8');

/** Opens a file, and closes it after the work. */
function withFile(name: string, flags: number, work: (fd: number) => void): void {
  const fd = fs.openSync(at(name), flags, 0o644);
  try {
    work(fd);
  } finally {
    fs.closeSync(fd);
  }
}

// New files: written, appended to, cut, allocated, with a hole, synced in each way.
fs.writeFileSync(at('new'), 'new');
withFile('new', O_WRONLY | O_APPEND, (fd) => fs.writeSync(fd, ' and more'));
assert.equal(text('new'), 'new and more');
withFile('synced', O_RDWR | O_CREAT, (fd) => {
  fs.writeSync(fd, 'synced');
  fs.fsyncSync(fd);
  fs.writeSync(fd, '!', 4096);
  fs.fdatasyncSync(fd);
  fs.ftruncateSync(fd, 5000);
});
assert.equal(fs.statSync(at('synced')).size, 5000);
withFile('o-sync', O_WRONLY | O_CREAT | O_SYNC, (fd) => fs.writeSync(fd, 'synced'));
fs.writeFileSync(at('new'), 'written anew');
assert.equal(text('new'), 'written anew');

// The template's files: the first write copies them.
withFile('etc/conf', O_WRONLY, (fd) => fs.writeSync(fd, 'FROM', 0));
assert.equal(text('etc/conf'), 'FROM the template\n');
withFile('etc/mapped', O_RDWR, (fd) => {
  const mapping = sys.Mapping.ofFile(fd, 8192, sys.MAP_SHARED);
  mapping.write(4096, 'mapped');
  mapping.sync();
  mapping.unmap();
});
assert.equal(text('etc/mapped').slice(4094, 4104), 'mmmappedmm');
fs.truncateSync(at('etc/cut'), 2);
assert.equal(text('etc/cut'), 'to');
withFile('etc/copied', O_WRONLY | O_APPEND, (fd) => fs.writeSync(fd, 'end'));
assert.equal(fs.statSync(at('etc/copied')).size, 300_003);

// Names.
fs.writeFileSync(at('etc/tmp'), 'replaced\n');
fs.renameSync(at('etc/tmp'), at('etc/replaced'));
assert.equal(text('etc/replaced'), 'replaced\n');
fs.linkSync(at('etc/replaced'), at('linked'));
assert.equal(fs.statSync(at('linked')).nlink, 2);
fs.symlinkSync('to', at('symlink'));
sys.makeNode(at('fifo'), fs.constants.S_IFIFO | 0o644);
fs.unlinkSync(at('etc/removed'));
assert.equal(fs.existsSync(at('etc/removed')), false);
fs.mkdirSync(at('made/by/it'), { recursive: true });
fs.writeFileSync(at('made/by/it/file'), 'file');
fs.renameSync(at('made/by'), at('made/moved'));
fs.mkdirSync(at('gone'));
fs.rmdirSync(at('gone'));
fs.rmSync(at('made/moved/it'), { recursive: true });
assert.deepEqual(fs.readdirSync(at('made/moved')), []);
const unnamed = sys.open(mountpoint, O_TMPFILE | O_RDWR, 0o600);
fs.writeSync(unnamed, 'unnamed');
sys.linkAt(unnamed, '', at('named'), sys.AT_EMPTY_PATH);
fs.closeSync(unnamed);
assert.equal(text('named'), 'unnamed');
withFile('unlinked', O_RDWR | O_CREAT | O_TRUNC, (fd) => {
  fs.writeSync(fd, 'unlinked');
  fs.unlinkSync(at('unlinked'));
  assert.equal(fs.fstatSync(fd).nlink, 0);
});

// Attributes.
fs.chmodSync(at('etc/attributes'), 0o600);
fs.chownSync(at('etc/attributes'), 12, 34);
fs.utimesSync(at('etc/attributes'), 1, 2);
sys.setXattr(at('etc/attributes'), 'user.name', 'value', sys.XATTR_CREATE);
const { mode, uid, gid, mtimeMs } = fs.statSync(at('etc/attributes'));
assert.deepEqual([mode & 0o777, uid, gid, mtimeMs], [0o600, 12, 34, 2000]);

// What a checkpoint does with all that, and what comes after it.
await new Promise((resolve) => setTimeout(resolve, 3500));
fs.writeFileSync(at('last'), 'last');
withFile('last', O_RDWR, (fd) => fs.fsyncSync(fd));
