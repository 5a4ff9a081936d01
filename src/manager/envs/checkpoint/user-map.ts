/**
 * Gives the user namespace in CRIU's images another range of the machine's ids: an env has another one each time it is started. All other
 * ids in images are those that the env's programs see. The image is a protocol buffer (CRIU, images/userns.proto) after two magic numbers and a length:
 *
 *     message uid_gid_extent { uint32 first = 1; uint32 lower_first = 2; uint32 count = 3; }
 *     message userns_entry { repeated uid_gid_extent uid_map = 1, gid_map = 2; }
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import type { IdRange } from '../runtime/id-ranges.ts';

const IMAGE = /^userns-\d+\.img$/;
const HEAD = 12;
/** Tags of the fields: their numbers, and that they are bytes or a varint. */
const UID_MAP = 0x0a;
const GID_MAP = 0x12;
const EXTENT_TAGS = [0x08, 0x10, 0x18] as const;

/** Rewrites the images in a directory. @throws ByrefError 'badInput' if an image is none, or has other maps than envs have */
export function setUserMap(directory: string, ids: IdRange): void {
  for (const name of readdirSync(directory)) {
    if (!IMAGE.test(name)) continue;
    const file = path.join(directory, name);
    writeFileSync(file, withRange(readFileSync(file), ids, file));
  }
}

function withRange(image: Buffer, { first, size }: IdRange, file: string): Buffer {
  const body = image.subarray(HEAD);
  if (image.length < HEAD || image.readUInt32LE(HEAD - 4) !== body.length) throw damaged(file);
  for (let at = 0; at < body.length; ) {
    const [tag = -1, length = 0] = body.subarray(at, at + 2);
    const extent = body.subarray(at + 2, at + 2 + length);
    const [inner, , count] = extentOf(extent, file);
    if ((tag !== UID_MAP && tag !== GID_MAP) || inner !== 0 || count !== size) throw damaged(file);
    at += 2 + length;
  }
  const extent = Buffer.concat(
    [0, first, size].flatMap((value, i) => [Buffer.of(EXTENT_TAGS[i]!), varint(value)]),
  );
  const map = Buffer.concat(
    [UID_MAP, GID_MAP].flatMap((tag) => [Buffer.of(tag, extent.length), extent]),
  );
  const head = Buffer.from(image.subarray(0, HEAD));
  head.writeUInt32LE(map.length, HEAD - 4);
  return Buffer.concat([head, map]);
}

function extentOf(bytes: Buffer, file: string): number[] {
  const values: number[] = [];
  let at = 0;
  for (const tag of EXTENT_TAGS) {
    if (bytes[at++] !== tag) throw damaged(file);
    let value = 0;
    let scale = 1;
    for (let more = true; more; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 35) throw damaged(file);
      value += (byte & 0x7f) * scale;
      more = byte >= 0x80;
    }
    values.push(value);
  }
  return values;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

const damaged = (file: string): ByrefError =>
  new ByrefError('badInput', `${file} is no user namespace of an env`, 'Use another checkpoint.');
