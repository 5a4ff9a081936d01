/**
 * Converts POSIX ACLs between the text in a tar ("user::rwx,user:1000:r-x,mask::rwx") and the kernel's values
 * of system.posix_acl_access and system.posix_acl_default.
 */
import { type Name, nameToText } from '../../../base/ids.ts';
import type { AccountKind } from '../../../store/accounts.ts';
import { badArchive } from './header.ts';

const XATTR_VERSION = 2;
const HEADER = 4;
const ENTRY = 8;
const NO_ID = 0xffffffff;
/** Tag values for entries without and with a name, in the order that the kernel requires. */
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

/** Returns the number of an account. @throws if there is none of that name */
export type IdOf = (kind: AccountKind, name: string) => number;

interface AclEntry {
  readonly tag: number;
  readonly perm: number;
  readonly id: number;
}

/**
 * Returns the attribute's value for a text.
 * @param text a binary string
 * @param idOf resolves accounts that are named without a number
 * @throws ByrefError 'badInput' for text that is not an ACL
 */
export function aclFromText(text: string, idOf: IdOf): Buffer {
  const entries = text
    .split(/[,\n]/)
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => parseEntry(line, idOf))
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

function parseEntry(line: string, idOf: IdOf): AclEntry {
  // libarchive writes the number after the permissions: "user:name:rwx:1000".
  const [kind = '', name = '', perms = '', number = name] = line.split(':');
  const tags = Object.hasOwn(TAGS, kind) ? TAGS[kind as keyof typeof TAGS] : undefined;
  if (tags === undefined || !/^[-rwx]{3}$/.test(perms)) throw unreadable(line);
  const perm =
    (perms.includes('r') ? 4 : 0) | (perms.includes('w') ? 2 : 0) | (perms.includes('x') ? 1 : 0);
  if (name === '') return { tag: tags.owner, perm, id: NO_ID };
  if (kind !== 'user' && kind !== 'group') throw unreadable(line);
  const id = /^\d+$/.test(number) ? Number(number) : idOf(kind, name);
  if (id >= NO_ID) throw unreadable(line);
  return { tag: tags.named, perm, id };
}

const unreadable = (line: string): Error =>
  badArchive(`the archive has an ACL that can't be read (${nameToText(line as Name)})`);

/** Returns an ACL's value as text, with numbers for ids. */
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
