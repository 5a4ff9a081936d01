import { type Cursor, putVarint } from './varint.ts';

/**
 * Writes extended attributes at `at`: their number, then each one's name and value, with lengths. Returns the
 * end.
 */
export function putXattrs(buf: Buffer, at: number, xattrs: ReadonlyMap<string, Buffer>): number {
  let end = putVarint(buf, at, xattrs.size);
  for (const [name, value] of xattrs) {
    end = putVarint(buf, end, Buffer.byteLength(name));
    end += buf.write(name, end, 'utf8');
    end = putVarint(buf, end, value.length);
    end += value.copy(buf, end);
  }
  return end;
}

/** Reads what putXattrs() wrote. @throws Damaged beyond the buffer's end */
export function readXattrs(from: Cursor): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (let left = from.varint(); left > 0; left--) {
    const name = from.utf8(from.varint());
    xattrs.set(name, from.bytes(from.varint()));
  }
  return xattrs;
}
