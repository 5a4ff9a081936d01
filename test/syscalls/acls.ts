import type { PathLike } from './raw.ts';
import { getXattr, removeXattr, setXattr } from './xattrs.ts';

/** Which ACL of a file: that of access, or the one that a directory's new entries inherit. */
export type AclKind = 'access' | 'default';

const TAGS = {
  user: 0x01,
  namedUser: 0x02,
  group: 0x04,
  namedGroup: 0x08,
  mask: 0x10,
  other: 0x20,
};
export type AclTag = keyof typeof TAGS;

/** One entry: who, permissions 0..7, and the id where the tag names one. */
export type AclEntry = readonly [tag: AclTag, permissions: number, id?: number];

const VERSION = 2;
const UNDEFINED_ID = 0xffffffff;
const ENTRY_SIZE = 8;

const attribute = (kind: AclKind): string => `system.posix_acl_${kind}`;

/** Encodes as the kernel's xattr: version u32, then tag u16, permissions u16, id u32 per entry. */
export function encodeAcl(entries: readonly AclEntry[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * ENTRY_SIZE);
  bytes.writeUInt32LE(VERSION);
  entries.forEach(([tag, permissions, id], i) => {
    bytes.writeUInt16LE(TAGS[tag], 4 + i * ENTRY_SIZE);
    bytes.writeUInt16LE(permissions, 6 + i * ENTRY_SIZE);
    bytes.writeUInt32LE(id ?? UNDEFINED_ID, 8 + i * ENTRY_SIZE);
  });
  return bytes;
}

function decodeAcl(bytes: Buffer): AclEntry[] {
  const names = Object.entries(TAGS) as [AclTag, number][];
  const entries: AclEntry[] = [];
  for (let at = 4; at < bytes.length; at += ENTRY_SIZE) {
    const tag = names.find(([, value]) => value === bytes.readUInt16LE(at))![0];
    const id = bytes.readUInt32LE(at + 4);
    const permissions = bytes.readUInt16LE(at + 2);
    entries.push(id === UNDEFINED_ID ? [tag, permissions] : [tag, permissions, id]);
  }
  return entries;
}

export const setAcl = (path: PathLike, kind: AclKind, entries: readonly AclEntry[]): void =>
  setXattr(path, attribute(kind), encodeAcl(entries));

export const getAcl = (path: PathLike, kind: AclKind): AclEntry[] =>
  decodeAcl(getXattr(path, attribute(kind)));

export const removeAcl = (path: PathLike, kind: AclKind): void =>
  removeXattr(path, attribute(kind));
