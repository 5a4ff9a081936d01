/** The one kind of ACL that histories give files: one user more, who may read. */
import { type AclEntry, encodeAcl } from '../syscalls/index.ts';
import type { RefNode } from './node.ts';

export const ACL_XATTR = 'system.posix_acl_access';
const USER = 33;

/** An ACL for a file that shows this mode now. */
export const aclFor = (mode: number, mask: number): AclEntry[] => [
  ['user', (mode >> 6) & 7],
  ['namedUser', 4, USER],
  ['group', (mode >> 3) & 7],
  ['mask', mask],
  ['other', mode & 7],
];

/** The mode and an ACL say the same thing, so a mode that is set is the ACL's, too. */
export function setMode(node: RefNode, mode: number): void {
  node.mode = mode;
  const acl = aclOf(node);
  if (acl === null) return;
  const bits = new Map([
    ['user', mode >> 6],
    ['mask', mode >> 3],
    ['other', mode],
  ]);
  setAclOf(
    node,
    acl.map(([tag, permissions, ...id]) => [tag, (bits.get(tag) ?? permissions) & 7, ...id]),
  );
}

/** In the reference an ACL is kept as JSON. */
const aclOf = ({ xattrs }: RefNode): AclEntry[] | null =>
  xattrs.has(ACL_XATTR) ? (JSON.parse(xattrs.get(ACL_XATTR)!) as AclEntry[]) : null;

export const setAclOf = ({ xattrs }: RefNode, acl: readonly AclEntry[]): void =>
  void xattrs.set(ACL_XATTR, JSON.stringify(acl));

/** Names and values of extended attributes, as `getxattr` has them. */
export const shownXattrs = ({ xattrs }: RefNode): string[] =>
  [...xattrs]
    .map(([name, value]) => {
      const isAcl = name === ACL_XATTR;
      return `${name}=${isAcl ? encodeAcl(JSON.parse(value) as AclEntry[]).toString() : value}`;
    })
    .sort();
