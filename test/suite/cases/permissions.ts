import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  AT_FDCWD,
  asUser,
  call,
  MAP_SHARED,
  Mapping,
  O_TMPFILE,
  open,
} from '../../syscalls/index.ts';
import type { CaseContext, CaseGroup } from '../case.ts';
import { fails, permissions, readText, textOf, withFile, withUmask } from '../expect.ts';

const owner = { uid: 1000, gid: 1000 };
const other = { uid: 2000, gid: 2000 };
const { R_OK, W_OK, X_OK } = fs.constants;

function file({ at, dir }: CaseContext, mode: number, uid = 0, gid = 0): string {
  fs.chmodSync(dir, 0o755);
  fs.writeFileSync(at('f'), 'data');
  fs.chownSync(at('f'), uid, gid);
  fs.chmodSync(at('f'), mode);
  return at('f');
}

const open_ = (path: string, flags: string): void => fs.closeSync(fs.openSync(path, flags));

export const permissionChecks: CaseGroup = {
  'owner, group and others each have their own bits, and only those': (context) => {
    const path = file(context, 0o640, 1000, 500);
    asUser(owner, () => open_(path, 'r+'));
    asUser({ uid: 2000, gid: 500 }, () => {
      open_(path, 'r');
      fails('EACCES', () => open_(path, 'r+'));
    });
    asUser({ ...other, groups: [500] }, () => open_(path, 'r'));
    asUser(other, () => fails('EACCES', () => open_(path, 'r')));
    fs.chmodSync(path, 0o077);
    asUser(owner, () => fails('EACCES', () => open_(path, 'r')));
  },

  'a directory needs x to be passed, r to be listed, w and x to be changed': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.mkdirSync(at('d'));
    fs.writeFileSync(at('d', 'f'), '');
    fs.chmodSync(at('d'), 0o711);
    asUser(owner, () => {
      fs.lstatSync(at('d', 'f'));
      fails('EACCES', () => fs.readdirSync(at('d')));
      fails('EACCES', () => fs.writeFileSync(at('d', 'g'), ''));
      fails('EACCES', () => fs.unlinkSync(at('d', 'f')));
      fails('EACCES', () => fs.renameSync(at('d', 'f'), at('d', 'g')));
    });
    fs.chmodSync(at('d'), 0o744);
    asUser(owner, () => {
      fails('EACCES', () => fs.lstatSync(at('d', 'f')));
      assert.deepEqual(fs.readdirSync(at('d')), ['f']);
    });
  },

  'access(2) answers as an open would': (context) => {
    const path = file(context, 0o754, 1000, 1000);
    const may = (mode: number): boolean => {
      try {
        const AT_EACCESS = 0x200;
        call('faccessat2', AT_FDCWD, path, mode, AT_EACCESS);
        return true;
      } catch {
        return false;
      }
    };
    const rights = () => [may(R_OK), may(W_OK), may(X_OK)];
    assert.deepEqual(asUser(owner, rights), [true, true, true]);
    assert.deepEqual(asUser({ uid: 3, gid: 1000 }, rights), [true, false, true]);
    assert.deepEqual(asUser(other, rights), [true, false, false]);
    fs.chmodSync(path, 0o600);
    assert.deepEqual(rights(), [true, true, false], 'root executes only what someone may');
  },

  'chmod and chown are the owner’s and root’s': (context) => {
    const path = file(context, 0o644, 1000, 1000);
    asUser(other, () => fails('EPERM', () => fs.chmodSync(path, 0o777)));
    asUser(owner, () => {
      fs.chmodSync(path, 0o600);
      fails('EPERM', () => fs.chownSync(path, 2000, 1000));
      fails('EPERM', () => fs.chownSync(path, 1000, 2000));
    });
    asUser({ ...owner, groups: [2000] }, () => fs.chownSync(path, 1000, 2000));
    assert.equal(fs.statSync(path).gid, 2000);
  },

  'a new entry belongs to who made it; in a set-group-ID directory to its group': ({ at, dir }) => {
    fs.chmodSync(dir, 0o777);
    asUser(owner, () => fs.writeFileSync(at('mine'), ''));
    assert.deepEqual([fs.statSync(at('mine')).uid, fs.statSync(at('mine')).gid], [1000, 1000]);
    fs.chownSync(dir, 0, 500);
    fs.chmodSync(dir, 0o2777);
    asUser(owner, () => {
      fs.writeFileSync(at('grouped'), '');
      fs.mkdirSync(at('d'));
      fs.symlinkSync('x', at('s'));
    });
    for (const name of ['grouped', 'd', 's']) assert.equal(fs.lstatSync(at(name)).gid, 500, name);
    assert.equal(permissions(at('d')) & 0o2000, 0o2000, 'directories inherit the bit');
    assert.equal(permissions(at('grouped')) & 0o2000, 0);
  },

  'in a sticky directory only owners remove and rename': ({ at, dir }) => {
    fs.chmodSync(dir, 0o1777);
    asUser(owner, () => fs.writeFileSync(at('f'), ''));
    asUser(other, () => {
      fails('EPERM', () => fs.unlinkSync(at('f')));
      fails('EPERM', () => fs.renameSync(at('f'), at('g')));
      fs.writeFileSync(at('mine'), '');
      fails('EPERM', () => fs.renameSync(at('mine'), at('f')));
    });
    asUser(owner, () => fs.unlinkSync(at('f')));
  },

  'umask takes bits from new files, directories and nodes': ({ at, dir }) => {
    withUmask(0o027, () => {
      fs.writeFileSync(at('f'), '', { mode: 0o666 });
      fs.mkdirSync(at('d'), { mode: 0o777 });
      call('mknodat', AT_FDCWD, at('p'), 0o010666, 0);
      fs.closeSync(open(dir, O_TMPFILE | fs.constants.O_RDWR, 0o666));
    });
    assert.deepEqual(
      ['f', 'd', 'p'].map((name) => permissions(at(name))),
      [0o640, 0o750, 0o640],
    );
  },

  'open with a mode that forbids it still gives the creator a descriptor': ({ at }) => {
    const fd = open(at('f'), fs.constants.O_CREAT | fs.constants.O_RDWR, 0);
    fs.writeSync(fd, 'x');
    fs.closeSync(fd);
    assert.equal(permissions(at('f')), 0);
  },

  'a descriptor keeps its rights after chmod takes them': (context) => {
    const path = file(context, 0o644, 1000, 1000);
    const fd = asUser(owner, () => fs.openSync(path, 'r+'));
    fs.chmodSync(path, 0);
    asUser(owner, () => fs.writeSync(fd, 'still', 0));
    fs.closeSync(fd);
    assert.equal(textOf(path), 'still');
  },
};

/** Runs `action` as `user` on a set-user-ID and set-group-ID file; returns what bits are left. */
function bitsAfter(
  context: CaseContext,
  user: { uid: number; gid: number },
  action: (path: string) => void,
  mode = 0o6777,
): number {
  const path = file(context, mode, 1000, 1000);
  if (user.uid === 0) action(path);
  else asUser(user, () => action(path));
  return permissions(path) & 0o6000;
}
const root = { uid: 0, gid: 0 };

export const setIdBits: CaseGroup = {
  'a write by a user clears both bits, by root none': (context) => {
    const write = (path: string): void => fs.appendFileSync(path, 'x');
    assert.equal(bitsAfter(context, owner, write), 0);
    assert.equal(bitsAfter(context, other, write), 0);
    assert.equal(bitsAfter(context, root, write), 0o6000);
  },

  'set-group-ID without group execute is not cleared by write': (context) => {
    assert.equal(
      bitsAfter(context, owner, (path) => fs.appendFileSync(path, 'x'), 0o2767),
      0o2000,
    );
  },

  'truncate and O_TRUNC by a user clear them, by root not': (context) => {
    const truncate = (path: string): void => fs.truncateSync(path, 1);
    const overwrite = (path: string): void => fs.writeFileSync(path, 'new');
    assert.equal(bitsAfter(context, other, truncate), 0);
    assert.equal(bitsAfter(context, other, overwrite), 0);
    assert.equal(bitsAfter(context, root, truncate), 0o6000);
  },

  'chown clears them, also by root; not of a directory': (context) => {
    assert.equal(
      bitsAfter(context, root, (path) => fs.chownSync(path, 2000, 2000)),
      0,
    );
    fs.mkdirSync(context.at('d'));
    fs.chmodSync(context.at('d'), 0o6755);
    fs.chownSync(context.at('d'), 5, 5);
    assert.equal(permissions(context.at('d')), 0o6755);
  },

  'a store through a mapping leaves them': (context) => {
    const left = bitsAfter(context, root, (path) =>
      withFile(path, 'r+', (fd) => {
        const mapping = Mapping.ofFile(fd, 4, MAP_SHARED);
        mapping.write(0, 'map!');
        mapping.unmap();
      }),
    );
    assert.equal(left, 0o6000);
  },

  'chmod by a user who is not in the group drops set-group-ID': (context) => {
    const path = file(context, 0o755, 1000, 500);
    asUser(owner, () => fs.chmodSync(path, 0o2755));
    assert.equal(permissions(path), 0o755);
    asUser({ ...owner, groups: [500] }, () => fs.chmodSync(path, 0o2755));
    assert.equal(permissions(path), 0o2755);
  },

  'a file that gets them while it is open opens again, and a user’s write clears them': (
    context,
  ) => {
    const path = file(context, 0o666);
    for (const flags of ['r', 'r+']) {
      withFile(path, flags, (fd) => {
        fs.chmodSync(path, 0o6777);
        withFile(path, 'r+', (again) => fs.writeSync(again, 'root', 0));
        assert.equal(permissions(path), 0o6777);
        asUser(other, () => fs.appendFileSync(path, '!'));
        assert.equal(permissions(path), 0o777);
        assert.equal(readText(fd, 0, 4), 'root');
      });
    }
  },

  'a descriptor from before they were set clears them as well': (context) => {
    const path = file(context, 0o666);
    const fd = asUser(other, () => fs.openSync(path, 'r+'));
    fs.chmodSync(path, 0o6777);
    asUser(other, () => fs.writeSync(fd, 'user', 0));
    fs.closeSync(fd);
    assert.equal(permissions(path), 0o777);
  },

  'a write drops file capabilities': (context) => {
    const path = file(context, 0o755);
    const capabilities = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    call('setxattr', path, 'security.capability', capabilities, capabilities.length, 0);
    fs.appendFileSync(path, 'x');
    fails('ENODATA', () => call('getxattr', path, 'security.capability', Buffer.alloc(64), 64));
  },
};
