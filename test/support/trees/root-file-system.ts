/** An archive with one of everything that a root file system has. */
import { archive, dir, file, hardLink, member, symlink } from './tar-members.ts';

const MINUTE = 60;
const text = (value: string): Buffer => Buffer.from(value);
/** Capability cap_net_raw=ep, as `setcap` writes it: binary, and not UTF-8. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const LONG_NAME = 'n'.repeat(255);
const LONG_TARGET = `../${'t'.repeat(180)}`;

export const NOT_UTF8 = 'caf\xe9 \xff\xfe';

export function rootFileSystem(): Buffer {
  return archive(
    dir('./', { mode: 0o755, mtimeNs: 5 }),
    dir('./usr/'),
    dir('./usr/bin/'),
    file('./usr/bin/tool', '#!/bin/sh\n', { mode: 0o4755, mtimeNs: 123_456_789 }),
    file('./usr/bin/ping', 'ping', {
      mode: 0o755,
      pax: [['SCHILY.xattr.security.capability', CAPABILITY]],
    }),
    hardLink('./usr/bin/tool-2', './usr/bin/tool'),
    hardLink('./tool-3', './usr/bin/tool'),
    symlink('./bin', 'usr/bin'),
    symlink('./absolute', '/etc/passwd'),
    symlink('./long', LONG_TARGET),
    dir('./etc/'),
    file('./etc/passwd', 'root:x:0:0::/root:/bin/sh\n', { uid: 0, gid: 42, mode: 0o640 }),
    file('./etc/empty', ''),
    file('./etc/same-as-passwd', 'root:x:0:0::/root:/bin/sh\n'),
    file('./etc/attributes', 'x', {
      pax: [
        ['SCHILY.xattr.user.one', Buffer.from([0, 255, 10, 61])],
        ['SCHILY.xattr.user.two', text('zwei')],
        ['SCHILY.xattr.user.a%3Db', text('equals')],
      ],
    }),
    file('./etc/acl', 'x', {
      mode: 0o660,
      pax: [['SCHILY.acl.access', text('user::rw-,user:1000:r--,group::---,mask::rw-,other::---')]],
    }),
    dir('./etc/default-acl/', {
      pax: [['SCHILY.acl.default', text('user::rwx,group::r-x,group:7:rwx,mask::rwx,other::---')]],
    }),
    dir('./dev/'),
    member({ path: './dev/null', type: '3', mode: 0o666, major: 1, minor: 3 }),
    member({ path: './dev/disk', type: '4', mode: 0o660, major: 259, minor: 70_000 }),
    member({ path: './dev/pipe', type: '6', mode: 0o600 }),
    dir('./tmp/', { mode: 0o1777 }),
    file('./big-ids', 'x', { uid: 3_000_000, gid: 4_000_000_000 }),
    file('./before-1970', 'x', { mtime: -10 * MINUTE - 1, mtimeNs: 500_000_000 }),
    dir(`./${LONG_NAME}/`),
    file(`./${LONG_NAME}/${LONG_NAME}`, 'long'),
    file(`./${NOT_UTF8}`, 'bytes'),
    file('./large', Buffer.alloc(5 * 2 ** 20 + 3, 'large file ')),
  );
}
