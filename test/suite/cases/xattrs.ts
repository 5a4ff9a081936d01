import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  asUser,
  getXattr,
  listXattrs,
  rawCall,
  removeXattr,
  setXattr,
  XATTR_CREATE,
  XATTR_REPLACE,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, stamps, textOf } from '../expect.ts';

const ERANGE = 34;
/** More attributes than one inode has room for. */
const MANY = 1000;

/** How many values of `size` bytes a new file takes, under names of 11 bytes. */
function countOf(path: string, size: number): number {
  fs.writeFileSync(path, '');
  for (let count = 0; count < MANY; count++) {
    try {
      setXattr(path, `user.${String(count).padStart(6, '0')}`, Buffer.alloc(size, `${count}`));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      return count;
    }
  }
  return MANY;
}

export const xattrs: CaseGroup = {
  'set, get, list and remove, on files and directories': ({ at, dir }) => {
    fs.writeFileSync(at('f'), '');
    for (const path of [at('f'), dir]) {
      setXattr(path, 'user.one', '1');
      setXattr(path, 'user.two', Buffer.of(0, 255, 0));
      assert.deepEqual(listXattrs(path), ['user.one', 'user.two']);
      assert.deepEqual(getXattr(path, 'user.two'), Buffer.of(0, 255, 0));
      setXattr(path, 'user.one', 'changed');
      assert.equal(getXattr(path, 'user.one').toString(), 'changed');
      removeXattr(path, 'user.one');
      assert.deepEqual(listXattrs(path), ['user.two']);
      fails('ENODATA', () => getXattr(path, 'user.one'));
      fails('ENODATA', () => removeXattr(path, 'user.one'));
    }
  },

  'CREATE is EEXIST for what is there, REPLACE is ENODATA for what is not': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    fails('ENODATA', () => setXattr(at('f'), 'user.x', '1', XATTR_REPLACE));
    setXattr(at('f'), 'user.x', '1', XATTR_CREATE);
    fails('EEXIST', () => setXattr(at('f'), 'user.x', '2', XATTR_CREATE));
    setXattr(at('f'), 'user.x', '3', XATTR_REPLACE);
    assert.equal(getXattr(at('f'), 'user.x').toString(), '3');
  },

  'an empty value is a value': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    setXattr(at('f'), 'user.empty', '');
    assert.equal(getXattr(at('f'), 'user.empty').length, 0);
    assert.deepEqual(listXattrs(at('f')), ['user.empty']);
  },

  'sizes: 0 asks for the length, too small a buffer is ERANGE': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    setXattr(at('f'), 'user.x', 'twelve bytes');
    assert.equal(rawCall('getxattr', at('f'), 'user.x', 0, 0), 12);
    assert.equal(rawCall('getxattr', at('f'), 'user.x', Buffer.alloc(11), 11), -ERANGE);
    assert.equal(rawCall('listxattr', at('f'), 0, 0), 7);
    assert.equal(rawCall('listxattr', at('f'), Buffer.alloc(6), 6), -ERANGE);
  },

  'trusted and security attributes are root’s to set': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), '');
    fs.chownSync(at('f'), 1000, 1000);
    setXattr(at('f'), 'trusted.t', 'root only');
    setXattr(at('f'), 'security.s', 'all may read');
    assert.deepEqual(listXattrs(at('f')), ['security.s', 'trusted.t']);
    asUser({ uid: 1000, gid: 1000 }, () => {
      fails('EPERM', () => setXattr(at('f'), 'trusted.t', 'x'));
      fails('ENODATA', () => getXattr(at('f'), 'trusted.t'));
      fails('EPERM', () => setXattr(at('f'), 'security.s', 'x'));
      assert.equal(getXattr(at('f'), 'security.s').toString(), 'all may read');
    });
  },

  'user attributes follow the file’s permissions, and are not for symlinks': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), '');
    fs.symlinkSync('f', at('s'));
    setXattr(at('f'), 'user.x', '1');
    fs.chmodSync(at('f'), 0o600);
    asUser({ uid: 1000, gid: 1000 }, () => {
      fails('EACCES', () => getXattr(at('f'), 'user.x'));
      fails('EACCES', () => setXattr(at('f'), 'user.x', '2'));
    });
    fails('EPERM', () => setXattr(at('s'), 'user.x', '1'));
    setXattr(at('s'), 'trusted.x', 'of the link');
    assert.equal(getXattr(at('s'), 'trusted.x').toString(), 'of the link');
    assert.deepEqual(listXattrs(at('f')), ['user.x']);
  },

  'names: no namespace is EOPNOTSUPP, 255 bytes work, more is ERANGE': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    fails('EOPNOTSUPP', () => setXattr(at('f'), 'nonamespace', '1'));
    fails('EOPNOTSUPP', () => setXattr(at('f'), 'other.x', '1'));
    const longest = `user.${'n'.repeat(250)}`;
    setXattr(at('f'), longest, 'long');
    assert.deepEqual(listXattrs(at('f')), [longest]);
    fails('ERANGE', () => setXattr(at('f'), `${longest}n`, '1'));
  },

  'a change moves ctime only': ({ at }) => {
    fs.writeFileSync(at('f'), 'x');
    stamps(at('f'), ['ctime'], () => setXattr(at('f'), 'user.x', '1'));
    stamps(at('f'), ['ctime'], () => removeXattr(at('f'), 'user.x'));
  },

  'attributes go along with rename and hard links, not with a new file': ({ at }) => {
    fs.writeFileSync(at('f'), 'x');
    setXattr(at('f'), 'user.x', '1');
    fs.renameSync(at('f'), at('g'));
    fs.linkSync(at('g'), at('h'));
    assert.deepEqual(listXattrs(at('h')), ['user.x']);
    fs.writeFileSync(at('g'), 'rewritten in place');
    assert.deepEqual(listXattrs(at('g')), ['user.x']);
    fs.writeFileSync(at('f'), 'new');
    assert.deepEqual([textOf(at('f')), listXattrs(at('f'))], ['new', []]);
  },

  'values of 3 KiB, several at once': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    const value = Buffer.alloc(1500, 7);
    setXattr(at('f'), 'user.a', value);
    setXattr(at('f'), 'user.b', value);
    assert.deepEqual(getXattr(at('f'), 'user.a'), value);
    assert.deepEqual(getXattr(at('f'), 'user.b'), value);
    fails(['E2BIG', 'ENOSPC'], () => setXattr(at('f'), 'user.c', Buffer.alloc(65_537)));
  },

  'an inode has room for as many as on ext4: a block of 4 KiB, and the rest of the inode': ({
    at,
  }) => {
    assert.deepEqual(
      [0, 1, 16, 64, 256, 1000, 2000].map((size) => [size, countOf(at(`of-${size}`), size)]),
      [
        [0, 172],
        [1, 148],
        [16, 103],
        [64, 47],
        [256, 14],
        [1000, 3],
        [2000, 2],
      ],
    );
    fs.writeFileSync(at('f'), '');
    fails('ENOSPC', () => setXattr(at('f'), 'user.x', Buffer.alloc(4041)));
    setXattr(at('f'), 'user.x', Buffer.alloc(4040));
    setXattr(at('f'), 'user.y', Buffer.alloc(60), XATTR_CREATE);
    fails('ENOSPC', () => setXattr(at('f'), 'user.z', Buffer.alloc(60)));
    assert.deepEqual(listXattrs(at('f')), ['user.x', 'user.y']);
    setXattr(at('f'), 'user.x', 'short');
    setXattr(at('f'), 'user.z', Buffer.alloc(60));
  },
};
