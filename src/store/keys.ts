/**
 * Builds and reads the keys of the store's tables (docs/internals/FORMAT.md). Numbers are big-endian, so that byte order
 * is number order and one range scan of `links` reads a directory in cookie order.
 */
import type { Ino, Name, ObjectId } from '../base/ids.ts';
import { readU64, writeU64 } from '../base/u64.ts';

const LINK_NAME_AT = 20;

/** links: template u32, directory u64, cookie u64, name. */
export function linkKey(template: number, dir: Ino | 0, cookie: number, name: Name | ''): Buffer {
  const key = Buffer.allocUnsafe(LINK_NAME_AT + name.length);
  key.writeUInt32BE(template, 0);
  writeU64(key, 4, dir);
  writeU64(key, 12, cookie);
  key.write(name, LINK_NAME_AT, 'latin1');
  return key;
}

/** Returns the directory in a key of `links`. */
export const linkDir = (key: Buffer): Ino | 0 => readU64(key, 4) as Ino | 0;
/** Returns the cookie in a key of `links`. */
export const linkCookie = (key: Buffer): number => readU64(key, 12);
/** Returns the name in a key of `links`. */
export const linkName = (key: Buffer): Name => key.toString('latin1', LINK_NAME_AT) as Name;

/** dirs: parent u64, name. */
export function dirKey(parent: Ino | 0, name: Name | ''): Buffer {
  const key = Buffer.allocUnsafe(8 + name.length);
  writeU64(key, 0, parent);
  key.write(name, 8, 'latin1');
  return key;
}

/** dirNames and inodes: ino u64. */
export function inoKey(ino: Ino): Buffer {
  const key = Buffer.allocUnsafe(8);
  writeU64(key, 0, ino);
  return key;
}

const ID_MAX = 2 ** 32 - 1;

/** Returns true for a number that can be an id, or a version. */
export const isId = (number: number): boolean =>
  Number.isInteger(number) && number >= 0 && number <= ID_MAX;

/** templates, envs and patches: id u32. */
export function idKey(id: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(id, 0);
  return key;
}

/** versions: template u32, number u32. */
export function versionKey(template: number, version: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(template, 0);
  key.writeUInt32BE(version, 4);
  return key;
}

const CHANGE_NAME_AT = 16;

/** changes: template u32, version u32, directory u64, name. */
export function changeKey(
  template: number,
  version: number,
  dir: Ino | 0,
  name: Name | '',
): Buffer {
  const key = Buffer.allocUnsafe(CHANGE_NAME_AT + name.length);
  key.writeUInt32BE(template, 0);
  key.writeUInt32BE(version, 4);
  writeU64(key, 8, dir);
  key.write(name, CHANGE_NAME_AT, 'latin1');
  return key;
}

/** Returns the directory in a key of `changes`. */
export const changeDir = (key: Buffer): Ino | 0 => readU64(key, 8) as Ino | 0;
/** Returns the name in a key of `changes`. */
export const changeName = (key: Buffer): Name | '' =>
  key.toString('latin1', CHANGE_NAME_AT) as Name | '';

/** templateDirs: template u32, directory u64. */
export function templateDirKey(template: number, dir: Ino): Buffer {
  const key = Buffer.allocUnsafe(12);
  key.writeUInt32BE(template, 0);
  writeU64(key, 4, dir);
  return key;
}

/** Returns the directory in a key of `templateDirs`. */
export const templateDirIno = (key: Buffer): Ino => readU64(key, 4) as Ino;

/** meta, templateNames and envNames: the text itself. */
export const textKey = (text: string): Buffer => Buffer.from(text, 'utf8');

/** objects: the SHA-256. */
export const objectKey = (id: ObjectId): Buffer => Buffer.from(id, 'hex');
