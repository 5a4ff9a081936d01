/**
 * A file of which an env has set attributes only: its content is the templates', and so are the attributes that the env left alone.
 * What it has set is found by comparing its record with the template's that it was made from, one attribute after the other.
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

/** The attributes of a file, as people name them. */
export type AttributeName = 'mode' | 'owner' | 'group' | 'atime' | 'mtime' | (string & {});

/** True if the data of an env's file is the template's, so that it has attributes of its own at most. Not of what a patch kept whole. */
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

/** What the env has set, in a fixed order: extended attributes last, by their full names. */
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
 * The env's record of the file that comes to a name, with what it set there before; null if that is nothing, so that it needs none.
 * @param was what the templates had there, of which `own` is what the env made
 * @param is what they have there now
 * @param now when that is, for ctime
 */
export function withOwnAttributes(
  was: InodeRecord,
  own: InodeRecord,
  is: InodeRecord,
  now: { readonly sec: number; readonly nsec: number },
): InodeRecord | null {
  // Another kind of file has nothing in common with what the attributes were set on.
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

/** A mode counts as a whole; but for set-ID bits that the env took away: those stay away, whatever else comes. */
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
  // As chown would drop them, but for those that the env gave back to the file afterwards.
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
  // An ACL and the permission bits say the same: both are of the env, or both of the template.
  if (acl !== undefined) next.mode = (next.mode & ~0o777) | modeOfAcl(acl);
  else next.xattrs = aclAfterChmod(next.xattrs, next.mode);
}

/** @returns true if a time is the env's */
function setTimes(was: InodeRecord, own: InodeRecord, next: Writable): boolean {
  const isAtimeSet = own.atime !== was.atime || own.atimeNs !== was.atimeNs;
  if (isAtimeSet) Object.assign(next, { atime: own.atime, atimeNs: own.atimeNs });
  // A content that changes brings its own time.
  const isMtimeSet =
    (own.mtime !== was.mtime || own.mtimeNs !== was.mtimeNs) && sameContent(was, next);
  if (isMtimeSet) Object.assign(next, { mtime: own.mtime, mtimeNs: own.mtimeNs });
  return isAtimeSet || isMtimeSet;
}
