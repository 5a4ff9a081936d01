import fs from 'node:fs';
import { addressOf, call, MAP_SHARED, Mapping } from '../syscalls/index.ts';
import type { SyncWay } from './operation.ts';

const { O_DSYNC, O_RDWR, O_SYNC } = fs.constants;
const RWF_DSYNC = 2;

/** Writes text at an offset of a file, in one of the ways in which a program has it on disk then. */
export function syncWrite(
  file: string,
  { offset, text, way }: { readonly offset: number; readonly text: string; readonly way: SyncWay },
): void {
  const bytes = Buffer.from(text);
  const flags = way === 'O_SYNC' ? O_SYNC : way === 'O_DSYNC' ? O_DSYNC : 0;
  const fd = fs.openSync(file, O_RDWR | flags);
  try {
    if (way === 'RWF_DSYNC') writeWithFlags(fd, bytes, offset, RWF_DSYNC);
    else if (way === 'msync') store(fd, bytes, offset);
    else fs.writeSync(fd, bytes, 0, bytes.length, offset);
    if (way === 'fsync') fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** pwritev2(2) of all bytes. */
export function writeWithFlags(fd: number, bytes: Buffer, offset: number, flags: number): void {
  if (bytes.length === 0) return;
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(BigInt(addressOf(bytes)), 0);
  vector.writeBigUInt64LE(BigInt(bytes.length), 8);
  call('pwritev2', fd, vector, 1, offset, 0, flags);
}

/** Stores the bytes through a shared mapping, and syncs that. */
export function store(fd: number, bytes: Buffer, offset: number): void {
  const end = offset + bytes.length;
  if (bytes.length === 0) return;
  if (fs.fstatSync(fd).size < end) fs.ftruncateSync(fd, end);
  const mapping = Mapping.ofFile(fd, end, MAP_SHARED);
  mapping.write(offset, bytes);
  mapping.sync();
  mapping.unmap();
}
