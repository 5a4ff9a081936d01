import { call, cString, type PathLike } from './raw.ts';

const VALUE_MAX = 65_536;

/** Sets an extended attribute; `flags` may be XATTR_CREATE or XATTR_REPLACE. */
export function setXattr(path: PathLike, name: string, value: PathLike, flags = 0): void {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  call('lsetxattr', cString(path), name, bytes, bytes.length, flags);
}

/** The value; throws ENODATA if there is none. */
export function getXattr(path: PathLike, name: string): Buffer {
  const buffer = Buffer.alloc(VALUE_MAX);
  return buffer.subarray(0, call('lgetxattr', cString(path), name, buffer, VALUE_MAX));
}

/** Names, sorted. */
export function listXattrs(path: PathLike): string[] {
  const buffer = Buffer.alloc(VALUE_MAX);
  const length = call('llistxattr', cString(path), buffer, VALUE_MAX);
  const names = buffer.toString('latin1', 0, length).split('\0');
  return names.filter((name) => name !== '').sort();
}

export const removeXattr = (path: PathLike, name: string): void => {
  call('lremovexattr', cString(path), name);
};
