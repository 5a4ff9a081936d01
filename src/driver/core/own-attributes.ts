/**
 * Follows attributes across template versions, for a file of which an env has set only attributes. The file's
 * content comes from the templates, and so do the attributes that the env left alone. The env's own ones are found
 * by comparing its record, attribute by attribute, with the template record that it was made from.
 */
import { isDir, PERM_MASK, S_IFMT, S_ISGID, S_ISUID } from '../../base/mode.ts';
import {
  DATA_PRIVATE,
  FLAG_GID_SET,
  FLAG_KEPT,
  FLAG_MODE_SET,
  FLAG_SET_IDS_GONE,
  FLAG_UID_SET,
  type InodeRecord,
} from '../../codec/inode-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import { ACL_ACCESS, aclAfterChmod, modeOfAcl } from './acl.ts';
import { CAPABILITY_XATTR } from './privileges.ts';

const SET_IDS = S_ISUID | S_ISGID;
const FLAGS_SET = FLAG_MODE_SET | FLAG_UID_SET | FLAG_GID_SET | FLAG_SET_IDS_GONE;

/** The name of a file attribute, as people write it; an extended attribute by its full name. */
export type AttributeName = 'mode' | 'owner' | 'group' | 'atime' | 'mtime' | (string & {});

/**
 * Returns true if an env's file has the template's data, so that at most its attributes are the env's own. False
 * for a file that a patch kept whole.
 */
export function hasTemplateData(own: InodeRecord, was: InodeRecord): boolean {
  return (
    own.data !== DATA_PRIVATE &&
    (own.flags & FLAG_KEPT) === 0 &&
    !isDir(own.mode) &&
    sameContent(own, was)
  );
}

const sameContent = (a: InodeRecord, b: InodeRecord): boolean =>
  (a.mode & S_IFMT) === (b.mode & S_IFMT) &&
  a.data === b.data &&
  a.object === b.object &&
  a.target === b.target &&
  a.rdev === b.rdev;

/** Lists the attributes that the env has set, in a fixed order: extended attributes last, by their full names. */
export function attributesSet(was: InodeRecord, own: InodeRecord): AttributeName[] {
  const set: AttributeName[] = [];
  const { flags } = own;
  const isModeSet = ((own.mode ^ was.mode) & PERM_MASK) !== 0;
  if (isModeSet || (flags & (FLAG_MODE_SET | FLAG_SET_IDS_GONE)) !== 0) set.push('mode');
  if (own.uid !== was.uid || (flags & FLAG_UID_SET) !== 0) set.push('owner');
  if (own.gid !== was.gid || (flags & FLAG_GID_SET) !== 0) set.push('group');
  if (own.atime !== was.atime || own.atimeNs !== was.atimeNs) set.push('atime');
  if (own.mtime !== was.mtime || own.mtimeNs !== was.mtimeNs) set.push('mtime');
  return [...set, ...xattrsSet(was, own)];
}

function* xattrsSet(was: InodeRecord, own: InodeRecord): Generator<string> {
  if (sameXattrs(was.xattrs, own.xattrs)) return;
  for (const name of new Set([...(was.xattrs?.keys() ?? []), ...(own.xattrs?.keys() ?? [])])) {
    const [before, now] = [was.xattrs?.get(name), own.xattrs?.get(name)];
    if (before === undefined || now === undefined || !before.equals(now)) yield name;
  }
}

type Writable = { -readonly [K in keyof InodeRecord]: InodeRecord[K] };

/**
 * Returns the env's record for the file that now comes to a name, with the attributes that the env set there
 * before; null if it set none, so that it needs no record.
 * @param was the record that the templates had there, and that `own` was made from
 * @param is the record that they have there now
 * @param now the present time, for ctime
 */
export function withOwnAttributes(
  was: InodeRecord,
  own: InodeRecord,
  is: InodeRecord,
  now: { readonly sec: number; readonly nsec: number },
): InodeRecord | null {
  // A file of another kind has nothing in common with the one whose attributes were set.
  if ((was.mode & S_IFMT) !== (is.mode & S_IFMT)) return null;
  const next: Writable = { ...is };
  setOwner(was, own, next);
  setMode(was, own, next);
  setXattrs(was, own, next);
  const isTimeSet = setTimes(was, own, next);
  const isXattrSet = !sameXattrs(next.xattrs, is.xattrs);
  if ((next.flags & FLAGS_SET) === 0 && next.mode === is.mode && !isXattrSet && !isTimeSet)
    return null;
  next.ctime = now.sec;
  next.ctimeNs = now.nsec;
  return next;
}

function setOwner(was: InodeRecord, own: InodeRecord, next: Writable): void {
  if (own.uid !== was.uid || (own.flags & FLAG_UID_SET) !== 0) {
    next.uid = own.uid;
    next.flags |= FLAG_UID_SET;
  }
  if (own.gid !== was.gid || (own.flags & FLAG_GID_SET) !== 0) {
    next.gid = own.gid;
    next.flags |= FLAG_GID_SET;
  }
}

/** Takes the env's mode over as a whole, if it set one. Set-ID bits that the env took away stay away in any case. */
function setMode(was: InodeRecord, own: InodeRecord, next: Writable): void {
  const lost = was.mode & ~own.mode & SET_IDS;
  if (lost !== 0) next.flags |= FLAG_SET_IDS_GONE;
  next.flags |= own.flags & FLAG_SET_IDS_GONE;
  const isSet = ((was.mode ^ own.mode) & PERM_MASK & ~lost) !== 0;
  if (isSet || (own.flags & FLAG_MODE_SET) !== 0) {
    next.mode = (next.mode & S_IFMT) | (own.mode & PERM_MASK);
    next.flags |= FLAG_MODE_SET;
    return;
  }
  const isOwnerSet = (next.flags & (FLAG_UID_SET | FLAG_GID_SET)) !== 0;
  // Drops set-ID bits as chown would, except those that the env gave back to the file afterwards.
  if (isOwnerSet && !isDir(next.mode)) next.mode &= ~(SET_IDS & ~own.mode);
  if ((next.flags & FLAG_SET_IDS_GONE) !== 0) next.mode &= ~(SET_IDS & ~own.mode);
}

function setXattrs(was: InodeRecord, own: InodeRecord, next: Writable): void {
  const set = [...xattrsSet(was, own)];
  const xattrs = new Map(next.xattrs);
  for (const name of set) {
    const value = own.xattrs?.get(name);
    if (value === undefined) xattrs.delete(name);
    else xattrs.set(name, value);
  }
  const isOwnerSet = (next.flags & (FLAG_UID_SET | FLAG_GID_SET)) !== 0;
  if (isOwnerSet && own.xattrs?.has(CAPABILITY_XATTR) !== true) xattrs.delete(CAPABILITY_XATTR);
  next.xattrs = xattrs.size === 0 ? null : xattrs;
  const acl = set.includes(ACL_ACCESS) ? own.xattrs?.get(ACL_ACCESS) : undefined;
  // An ACL and the permission bits say the same thing, so both come from the env, or both from the template.
  if (acl !== undefined) next.mode = (next.mode & ~0o777) | modeOfAcl(acl);
  else next.xattrs = aclAfterChmod(next.xattrs, next.mode);
}

/** Takes over the times that the env set. Returns true if there is one. */
function setTimes(was: InodeRecord, own: InodeRecord, next: Writable): boolean {
  const isAtimeSet = own.atime !== was.atime || own.atimeNs !== was.atimeNs;
  if (isAtimeSet) Object.assign(next, { atime: own.atime, atimeNs: own.atimeNs });
  // New content brings its own modification time.
  const isMtimeSet =
    (own.mtime !== was.mtime || own.mtimeNs !== was.mtimeNs) && sameContent(was, next);
  if (isMtimeSet) Object.assign(next, { mtime: own.mtime, mtimeNs: own.mtimeNs });
  return isAtimeSet || isMtimeSet;
}
