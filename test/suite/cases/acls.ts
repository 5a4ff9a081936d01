import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  type AclEntry,
  asUser,
  getAcl,
  listXattrs,
  O_TMPFILE,
  open,
  removeAcl,
  setAcl,
  setXattr,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, permissions, stamps, withUmask } from '../expect.ts';

/** user::rw-, user:1000:rw-, group::r--, mask::rw-, other::--- */
const forUser1000: AclEntry[] = [
  ['user', 6],
  ['namedUser', 6, 1000],
  ['group', 4],
  ['mask', 6],
  ['other', 0],
];
const inherited: AclEntry[] = [
  ['user', 7],
  ['namedUser', 7, 1000],
  ['group', 5],
  ['mask', 7],
  ['other', 0],
];
const canRead = (path: string) => (): boolean => {
  try {
    fs.closeSync(fs.openSync(path, 'r'));
    return true;
  } catch {
    return false;
  }
};

export const acls: CaseGroup = {
  'a named user gets in, others do not, and the mask is the group bits': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), 'x', { mode: 0o600 });
    setAcl(at('f'), 'access', forUser1000);
    assert.deepEqual(getAcl(at('f'), 'access'), forUser1000);
    assert.equal(permissions(at('f')), 0o660);
    assert.equal(asUser({ uid: 1000, gid: 1000 }, canRead(at('f'))), true);
    assert.equal(asUser({ uid: 1001, gid: 1001 }, canRead(at('f'))), false);
  },

  'a named group gets in': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), 'x', { mode: 0o600 });
    const entries: AclEntry[] = [
      ['user', 6],
      ['group', 0],
      ['namedGroup', 4, 500],
      ['mask', 4],
      ['other', 0],
    ];
    setAcl(at('f'), 'access', entries);
    assert.equal(asUser({ uid: 1000, gid: 500 }, canRead(at('f'))), true);
    assert.equal(asUser({ uid: 1000, gid: 1000, groups: [500] }, canRead(at('f'))), true);
    assert.equal(asUser({ uid: 1000, gid: 1000 }, canRead(at('f'))), false);
  },

  'chmod sets the mask, and so takes a named user’s rights': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), 'x');
    setAcl(at('f'), 'access', forUser1000);
    fs.chmodSync(at('f'), 0o600);
    assert.deepEqual(
      getAcl(at('f'), 'access').find(([tag]) => tag === 'mask'),
      ['mask', 0],
    );
    assert.equal(asUser({ uid: 1000, gid: 1000 }, canRead(at('f'))), false);
    fs.chmodSync(at('f'), 0o640);
    assert.equal(asUser({ uid: 1000, gid: 1000 }, canRead(at('f'))), true);
  },

  'an ACL of three entries is the mode, and nothing is kept': ({ at }) => {
    fs.writeFileSync(at('f'), 'x', { mode: 0o600 });
    setAcl(at('f'), 'access', [
      ['user', 6],
      ['group', 4],
      ['other', 4],
    ]);
    assert.equal(permissions(at('f')), 0o644);
    assert.deepEqual(listXattrs(at('f')), []);
  },

  'removal leaves the mode bits': ({ at }) => {
    fs.writeFileSync(at('f'), 'x');
    setAcl(at('f'), 'access', forUser1000);
    removeAcl(at('f'), 'access');
    fails('ENODATA', () => getAcl(at('f'), 'access'));
    assert.equal(permissions(at('f')), 0o660);
  },

  'a default ACL is inherited by files, and umask is not applied': ({ at, dir }) => {
    setAcl(dir, 'default', inherited);
    withUmask(0o077, () => fs.writeFileSync(at('f'), '', { mode: 0o666 }));
    assert.equal(permissions(at('f')), 0o660);
    const expected: AclEntry[] = [
      ['user', 6],
      ['namedUser', 7, 1000],
      ['group', 5],
      ['mask', 6],
      ['other', 0],
    ];
    assert.deepEqual(getAcl(at('f'), 'access'), expected);
    fails('ENODATA', () => getAcl(at('f'), 'default'));
  },

  'a default ACL is inherited by directories, both as access and default': ({ at, dir }) => {
    setAcl(dir, 'default', inherited);
    fs.mkdirSync(at('d'), { mode: 0o777 });
    assert.deepEqual(getAcl(at('d'), 'default'), inherited);
    assert.deepEqual(getAcl(at('d'), 'access'), inherited);
    assert.equal(permissions(at('d')), 0o770);
    fs.mkdirSync(at('d', 'e'));
    assert.deepEqual(getAcl(at('d', 'e'), 'default'), inherited);
  },

  'a default ACL of three entries gives its mode, without an ACL': ({ at, dir }) => {
    setAcl(dir, 'default', [
      ['user', 7],
      ['group', 5],
      ['other', 4],
    ]);
    withUmask(0o077, () => fs.writeFileSync(at('f'), '', { mode: 0o666 }));
    assert.equal(permissions(at('f')), 0o644);
    assert.deepEqual(listXattrs(at('f')), []);
  },

  'O_TMPFILE inherits the default ACL': ({ dir }) => {
    setAcl(dir, 'default', inherited);
    const fd = open(dir, O_TMPFILE | fs.constants.O_RDWR, 0o666);
    assert.equal(fs.fstatSync(fd).mode & 0o777, 0o660);
    fs.closeSync(fd);
  },

  'default ACLs are for directories only; symlinks have none': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    fails(['EACCES', 'EPERM'], () => setAcl(at('f'), 'default', inherited));
    fs.symlinkSync('f', at('s'));
    fails(['EOPNOTSUPP', 'EPERM'], () => setAcl(at('s'), 'access', forUser1000));
  },

  'only the owner and root set ACLs; garbage is EINVAL': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), '');
    asUser({ uid: 1000, gid: 1000 }, () => {
      fails('EPERM', () => setAcl(at('f'), 'access', forUser1000));
    });
    fs.chownSync(at('f'), 1000, 1000);
    asUser({ uid: 1000, gid: 1000 }, () => setAcl(at('f'), 'access', forUser1000));
    fails(['EINVAL', 'EOPNOTSUPP'], () =>
      setXattr(at('f'), 'system.posix_acl_access', 'garbage garbage'),
    );
    fails('EINVAL', () => setAcl(at('f'), 'access', [['namedUser', 6, 1000]]));
  },

  'setting an ACL moves ctime only': ({ at }) => {
    fs.writeFileSync(at('f'), 'x');
    stamps(at('f'), ['ctime'], () => setAcl(at('f'), 'access', forUser1000));
  },
};
