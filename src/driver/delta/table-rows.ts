/**
 * Encodes keys and values of an env's link table (docs/internals/FORMAT.md). Numbers are big-endian, so that keys
 * sort by them.
 */
import { Damaged } from '../../base/damaged.ts';
import type { Ino, Name } from '../../base/ids.ts';
import { NAME_MAX } from '../../base/ids.ts';
import { nameCookie } from '../../base/name-hash.ts';
import { readU64, writeU64 } from '../../base/u64.ts';
import { DATA_PRIVATE, FLAG_UNSYNCED, type InodeRecord } from '../../codec/inode-record.ts';
import { decodeInode, encodeInode, inodeBytesMax } from '../../codec/inode-record-codec.ts';
import { addSum, matchesSum, SUM_SIZE, WRONG_SUM } from '../../codec/row-sum.ts';
import { NameState } from './generation.ts';

/** The version of rows without a sum, which an older byref wrote. */
const WITHOUT_SUM = 1;
const ROW_VERSION = 2;
/** The length of an inode's key, in bytes. */
export const INO_KEY_SIZE = 8;
const NAME_AT = 16;
/** Lengths of values without their sums. */
const NAME_VALUE_SIZE = 11;
/** One byte more than the longest key; see LinkTable.entries. */
export const NAME_KEY_MAX = NAME_AT + NAME_MAX + 1;
/** The key of the table's state, in the database `meta`. */
export const STATE_KEY = Buffer.from('state', 'latin1');
const STATE_SIZE = 41;

/** Marks: the reasons why recovery must look at an inode. */
export const MARK_ORPHAN = 1;
export const MARK_UNSYNCED = 2;

/** The state of the table when its last checkpoint ended. */
export interface TableState {
  /** All changes up to this one are in the table. */
  readonly sequence: number;
  /** No ino from this number up was ever given to a private inode. */
  readonly nextIno: number;
  readonly lineage: bigint;
  /** The boot in which the checkpoint was made, as 32 hex digits. */
  readonly bootId: string;
}

/** Checks a row. Returns where its sum begins, if it has one. @throws Damaged if it is not as it was written */
function endOf(key: Buffer, value: Buffer): number {
  if (value[0] === WITHOUT_SUM) return value.length;
  if (value[0] !== ROW_VERSION) throw new Damaged(`link table row of version ${value[0]}`);
  if (!matchesSum(key, value)) throw new Damaged(WRONG_SUM);
  return value.length - SUM_SIZE;
}

/** Writes an inode's key into `key`. */
export const writeInoKey = (key: Buffer, ino: Ino): void => writeU64(key, 0, ino);

/** Returns an inode's key in a buffer of its own. */
export function inoKey(ino: Ino): Buffer {
  const key = Buffer.alloc(INO_KEY_SIZE);
  writeInoKey(key, ino);
  return key;
}

/** Returns the number at the start of a key: an inode, or a name's directory. */
export const keyIno = (key: Buffer): Ino => readU64(key, 0) as Ino;

/** Writes a name's key (dir u64, cookie u64, name). Returns its length. */
export function writeNameKey(key: Buffer, dir: Ino, cookie: number, name: Name): number {
  writeU64(key, 0, dir);
  writeU64(key, 8, cookie);
  for (let i = 0; i < name.length; i++) key[NAME_AT + i] = name.charCodeAt(i);
  return NAME_AT + name.length;
}

/** Encodes a name's value: version u8, type u16, ino u64, sum. */
export function encodeName(key: Buffer, { type, ino }: Pick<NameState, 'type' | 'ino'>): Buffer {
  const value = Buffer.alloc(NAME_VALUE_SIZE + SUM_SIZE);
  value[0] = ROW_VERSION;
  value.writeUInt16BE(type, 1);
  writeU64(value, 3, ino);
  return addSum(key, value);
}

/** Decodes a name's value: 0 is the inode of a whiteout. @throws Damaged */
export function decodeName(key: Buffer, value: Buffer): { ino: Ino | 0; type: number } {
  if (endOf(key, value) !== NAME_VALUE_SIZE) throw new Damaged('its value has a wrong length');
  return { ino: readU64(value, 3) as Ino | 0, type: value.readUInt16BE(1) };
}

/** Decodes a name's row. @throws Damaged */
export function nameState(key: Buffer, value: Buffer): NameState {
  const { ino, type } = decodeName(key, value);
  const name = key.toString('latin1', NAME_AT) as Name;
  return new NameState(keyIno(key), name, ino, type, true, readU64(key, 8));
}

/**
 * Decodes the name of a row that may be damaged. @throws Damaged if it is not a name, or a lookup would not
 * find it
 */
export function soundNameState(key: Buffer, value: Buffer): NameState {
  if (key.length <= NAME_AT || key.length >= NAME_KEY_MAX) throw new Damaged('it has no name');
  const state = nameState(key, value);
  const right = nameCookie(state.name);
  if (state.cookie === right) return state;
  throw new Damaged(`it stands at cookie ${state.cookie}, not at ${right}`);
}

/** Decodes the record of a row that may be damaged. @throws Damaged if it is not a record, or belongs to another inode */
export function soundRecord(key: Buffer, value: Buffer): InodeRecord {
  if (key.length !== INO_KEY_SIZE) throw new Damaged('its key has a wrong length');
  const record = decodeRecord(key, value);
  if (record.ino === keyIno(key)) return record;
  throw new Damaged(`its record is of inode ${record.ino}`);
}

/** Decodes an inode's value. @throws Damaged */
export function decodeRecord(key: Buffer, value: Buffer): InodeRecord {
  const end = endOf(key, value);
  // An inode record has a version of its own, with which a row without a sum begins.
  return decodeInode(value, end === value.length ? 0 : 1, end);
}

/**
 * Encodes an inode's value: version u8, inode record, sum. It is a new buffer: the transaction keeps the bytes until it ends, so
 * no buffer can be reused.
 */
export function encodeInodeValue(key: Buffer, record: InodeRecord): Buffer {
  const value = Buffer.allocUnsafe(1 + inodeBytesMax(record) + SUM_SIZE);
  value[0] = ROW_VERSION;
  return addSum(key, value.subarray(0, encodeInode(record, value, 1) + SUM_SIZE));
}

/** Encodes the table's state: version u8, sequence u64, next ino u64, lineage u64, boot id 16 bytes, sum. */
export function encodeState(state: TableState): Buffer {
  const value = Buffer.alloc(STATE_SIZE + SUM_SIZE);
  value[0] = ROW_VERSION;
  writeU64(value, 1, state.sequence);
  writeU64(value, 9, state.nextIno);
  value.writeBigUInt64BE(state.lineage, 17);
  value.write(state.bootId, 25, 16, 'hex');
  return addSum(STATE_KEY, value);
}

/** Decodes the table's state. @throws Damaged */
export function decodeState(value: Buffer): TableState {
  if (endOf(STATE_KEY, value) !== STATE_SIZE)
    throw new Damaged('link table state of a wrong length');
  return {
    sequence: readU64(value, 1),
    nextIno: readU64(value, 9),
    lineage: value.readBigUInt64BE(17),
    bootId: value.toString('hex', 25, STATE_SIZE),
  };
}

/** Returns true if the inode has no name left. */
export const isOrphan = (record: InodeRecord): boolean => record.nlink === 0;

/** Returns true if the file is a copy whose bytes are not known to be on disk. */
export const isUnsynced = (record: InodeRecord): boolean =>
  record.data === DATA_PRIVATE && (record.flags & FLAG_UNSYNCED) !== 0;

/** Returns the MARK_* bits that an inode's record needs; 0 if recovery can ignore it. */
export const markOf = (record: InodeRecord): number =>
  (isOrphan(record) ? MARK_ORPHAN : 0) | (isUnsynced(record) ? MARK_UNSYNCED : 0);
