/**
 * POSIX ACLs: tar has them as text ("user::rwx,user:1000:r-x,mask::rwx"), the kernel as the value of
 * system.posix_acl_access and system.posix_acl_default.
 */
import { badArchive } from './header.ts';

const XATTR_VERSION = 2;
const HEADER = 4;
const ENTRY = 8;
const NO_ID = 0xffffffff;
/** Tag values, for an entry with and without a name, in the order the kernel wants. */
const TAGS = {
  user: { owner: 0x01, named: 0x02 },
  group: { owner: 0x04, named: 0x08 },
  mask: { owner: 0x10, named: 0x10 },
  other: { owner: 0x20, named: 0x20 },
} as const;
const NAMES: Record<number, keyof typeof TAGS> = {
  1: 'user',
  2: 'user',
  4: 'group',
  8: 'group',
  16: 'mask',
  32: 'other',
};

interface AclEntry {
  readonly tag: number;
  readonly perm: number;
  readonly id: number;
}

/** @throws ByrefError 'badInput' for text that is no ACL, or names a user by name only */
export function aclFromText(text: string): Buffer {
  const entries = text
    .split(/[,\n]/)
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map(parseEntry)
    .sort((a, b) => a.tag - b.tag || a.id - b.id);
  const acl = Buffer.alloc(HEADER + ENTRY * entries.length);
  acl.writeUInt32LE(XATTR_VERSION, 0);
  entries.forEach(({ tag, perm, id }, i) => {
    acl.writeUInt16LE(tag, HEADER + ENTRY * i);
    acl.writeUInt16LE(perm, HEADER + ENTRY * i + 2);
    acl.writeUInt32LE(id, HEADER + ENTRY * i + 4);
  });
  return acl;
}

function parseEntry(line: string): AclEntry {
  // libarchive writes the number after the permissions: "user:name:rwx:1000".
  const [kind = '', name = '', perms = '', number = name] = line.split(':');
  const tags = TAGS[kind as keyof typeof TAGS] as (typeof TAGS)['user'] | undefined;
  const id = name === '' ? NO_ID : Number(number);
  if (tags === undefined || !/^[-rwx]{3}$/.test(perms) || !Number.isInteger(id)) {
    throw badArchive(`the archive has an ACL that can't be read (${line})`);
  }
  const perm =
    (perms.includes('r') ? 4 : 0) | (perms.includes('w') ? 2 : 0) | (perms.includes('x') ? 1 : 0);
  return { tag: name === '' ? tags.owner : tags.named, perm, id };
}

/** The text of an ACL's value; ids are numbers. */
export function aclToText(acl: Buffer): string {
  const entries: string[] = [];
  for (let at = HEADER; at + ENTRY <= acl.length; at += ENTRY) {
    const tag = acl.readUInt16LE(at);
    const perm = acl.readUInt16LE(at + 2);
    const id = acl.readUInt32LE(at + 4);
    const kind = NAMES[tag] ?? 'other';
    const named = tag === TAGS.user.named || tag === TAGS.group.named;
    const perms = `${perm & 4 ? 'r' : '-'}${perm & 2 ? 'w' : '-'}${perm & 1 ? 'x' : '-'}`;
    entries.push(`${kind}:${named ? id : ''}:${perms}`);
  }
  return entries.join(',');
}
