/** How tar archives carry extended attributes: GNU tar's and star's keys, and libarchive's. */
import { aclFromText } from './acl.ts';
import { type PaxRecords, XATTR_KEY } from './pax.ts';

export const ACL_KEYS = {
  'system.posix_acl_access': 'SCHILY.acl.access',
  'system.posix_acl_default': 'SCHILY.acl.default',
} as const;
const LIBARCHIVE_KEY = 'LIBARCHIVE.xattr.';

/** The extended attributes of a member by name, or null for none. */
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
  for (const [name, key] of Object.entries(ACL_KEYS)) {
    const text = pax.get(key);
    if (text !== undefined) xattrs.set(name, aclFromText(text.toString('utf8')));
  }
  return xattrs.size === 0 ? null : xattrs;
}

/** A key can't have "=" in it: libarchive and GNU tar write that, and "%", as %3D and %25. */
function decodePercent(key: string): string {
  return key.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

export const encodePercent = (name: string): string =>
  name.replace(/[%=]/g, (c) => (c === '%' ? '%25' : '%3D'));
