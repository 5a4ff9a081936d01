/** Reads and writes extended attributes in tar archives, under the keys of GNU tar and star, and of libarchive. */
import { type PaxRecords, XATTR_KEY } from './pax.ts';

/** The keys for ACLs as text, by the attribute that each stands for. */
export const ACL_KEYS = {
  'system.posix_acl_access': 'SCHILY.acl.access',
  'system.posix_acl_default': 'SCHILY.acl.default',
} as const;
const LIBARCHIVE_KEY = 'LIBARCHIVE.xattr.';

/** Returns a member's extended attributes by name, or null if it has none. */
export function paxXattrs(pax: PaxRecords): Map<string, Buffer> | null {
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of pax) {
    if (key.startsWith(LIBARCHIVE_KEY)) {
      const name = decodePercent(key.slice(LIBARCHIVE_KEY.length));
      xattrs.set(name, Buffer.from(value.toString('latin1'), 'base64'));
    }
  }
  for (const [key, value] of pax) {
    if (key.startsWith(XATTR_KEY)) xattrs.set(decodePercent(key.slice(XATTR_KEY.length)), value);
  }
  return xattrs.size === 0 ? null : xattrs;
}

/**
 * Returns the ACLs that a member has as text only, as binary strings by the attribute's name; or null. If it
 * has the attribute as well, that counts: it has numbers, while the text has names of the machine that wrote
 * the archive.
 */
export function paxAcls(
  pax: PaxRecords,
  xattrs: ReadonlyMap<string, Buffer> | null,
): Map<string, string> | null {
  const acls = new Map<string, string>();
  for (const [name, key] of Object.entries(ACL_KEYS)) {
    const text = pax.get(key);
    if (text !== undefined && !xattrs?.has(name)) acls.set(name, text.toString('latin1'));
  }
  return acls.size === 0 ? null : acls;
}

/** Decodes %XX. A key can't contain "=": libarchive and GNU tar write "=" and "%" as %3D and %25. */
function decodePercent(key: string): string {
  return key.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Encodes "=" and "%" in a key. */
export const encodePercent = (name: string): string =>
  name.replace(/[%=]/g, (c) => (c === '%' ? '%25' : '%3D'));
