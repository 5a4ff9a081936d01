import type { Ino, Name } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { encodeInode, inodeBytesMax } from '../../codec/inode-record-codec.ts';
import type { Hash64 } from './hash.ts';
import * as format from './journal-format.ts';

/** The buffer's first size, and the size above which one that grew for a large change shrinks back to it. */
const CAPACITY = 4 * 1024;
const CAPACITY_KEPT = 64 * 1024;
const NAME_ROOM = 1 + 8 + 8 + 2 + 1;

/** Builds the journal record of one change, in one buffer that is reused. */
export class RecordWriter {
  #buffer = Buffer.allocUnsafeSlow(CAPACITY);
  #view = format.viewOf(this.#buffer);
  #end = format.RECORD_HEADER_SIZE;
  #count = 0;
  readonly #hash: Hash64;

  constructor(hash: Hash64) {
    this.#hash = hash;
  }

  /** The record's bytes, from 0 to what finish() returned. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** The number of mutations since begin(). */
  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.#end = format.RECORD_HEADER_SIZE;
    this.#count = 0;
    if (this.#buffer.length > CAPACITY_KEPT) this.#resize(CAPACITY);
  }

  setName(dir: Ino, name: Name, ino: number, type: number): void {
    const at = this.#mutation(format.SET_NAME, NAME_ROOM + name.length);
    format.setU64(this.#view, at, dir);
    format.setU64(this.#view, at + 8, ino);
    this.#view.setUint16(at + 16, type, true);
    this.#end = this.#name(at + 18, name);
  }

  clearName(dir: Ino, name: Name): void {
    const at = this.#mutation(format.CLEAR_NAME, NAME_ROOM + name.length);
    format.setU64(this.#view, at, dir);
    this.#end = this.#name(at + 8, name);
  }

  setInode(record: InodeRecord): void {
    const at = this.#mutation(format.SET_INODE, 5 + inodeBytesMax(record));
    this.#end = encodeInode(record, this.#buffer, at + 4);
    this.#view.setUint32(at, this.#end - at - 4, true);
  }

  clearInode(ino: Ino): void {
    const at = this.#mutation(format.CLEAR_INODE, 9);
    format.setU64(this.#view, at, ino);
    this.#end = at + 8;
  }

  /** Completes the record. Returns its length in bytes. */
  finish(sequence: number, lag: number, seed: bigint): number {
    this.#reserve(format.RECORD_ALIGN + format.RECORD_CHECKSUM_SIZE);
    let end = this.#end;
    while (end % format.RECORD_ALIGN !== 0) this.#buffer[end++] = 0;
    const view = this.#view;
    view.setUint32(0, format.RECORD_MAGIC, true);
    view.setUint32(4, end + format.RECORD_CHECKSUM_SIZE, true);
    format.setU64(view, 8, sequence);
    view.setUint32(16, this.#count, true);
    view.setUint32(20, Math.min(lag, format.LAG_MAX), true);
    view.setBigUint64(end, this.#hash(this.#buffer.subarray(0, end), seed), true);
    return end + format.RECORD_CHECKSUM_SIZE;
  }

  #mutation(kind: number, room: number): number {
    this.#reserve(room);
    this.#count++;
    this.#buffer[this.#end] = kind;
    return this.#end + 1;
  }

  #name(at: number, name: Name): number {
    const buffer = this.#buffer;
    buffer[at++] = name.length;
    for (let i = 0; i < name.length; i++) buffer[at++] = name.charCodeAt(i);
    return at;
  }

  #reserve(room: number): void {
    const needed = this.#end + room;
    if (needed > this.#buffer.length) this.#resize(Math.max(needed, 2 * this.#buffer.length));
  }

  #resize(capacity: number): void {
    const old = this.#buffer;
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
    old.copy(this.#buffer, 0, 0, Math.min(this.#end, capacity));
    this.#view = format.viewOf(this.#buffer);
  }
}
