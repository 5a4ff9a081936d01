/**
 * Objects: immutable files named by the SHA-256 of their bytes, `objects/ab/cdef...`, mode 0400.
 * New ones are written by ObjectWriter; this opens, counts and removes them.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../base/ids.ts';
import { O_CLOEXEC, O_NOFOLLOW, O_RDONLY } from '../base/mode.ts';
import { decodeObject, encodeObject, type ObjectRow } from '../codec/store-rows.ts';
import { AT_FDCWD, native } from '../native/binding.ts';
import { objectKey } from './keys.ts';
import type { Tables } from './tables.ts';

/** Hex digits of an id that name its directory. */
const FAN_OUT = 2;
const DIRECTORY_MODE = 0o700;

export class ObjectFiles {
  readonly dir: string;
  private readonly tables: Tables;

  constructor(dir: string, tables: Tables) {
    this.dir = dir;
    this.tables = tables;
  }

  path(id: ObjectId): string {
    return path.join(this.dir, id.slice(0, FAN_OUT), id.slice(FAN_OUT));
  }

  /** A read-only descriptor, the caller's to close, or -errno. */
  open(id: ObjectId): number {
    return native.openAt(AT_FDCWD, this.path(id), O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
  }

  /** Where unfinished objects are written, on the same file system. */
  get unfinishedDir(): string {
    return path.join(this.dir, 'tmp');
  }

  /** Throws away what an import that did not end left behind; for the writer only. */
  sweepUnfinished(): void {
    rmSync(this.unfinishedDir, { recursive: true, force: true });
    mkdirSync(this.unfinishedDir, { recursive: true, mode: DIRECTORY_MODE });
  }

  row(id: ObjectId): ObjectRow | null {
    const row = this.tables.table('objects').get(objectKey(id));
    return row === undefined ? null : decodeObject(row);
  }

  /**
   * Changes how many link records name the object; inside a transaction. The row comes with the first
   * one. Returns true if it went with the last one: the file is then the caller's to remove, after
   * the commit.
   */
  addRefs(id: ObjectId, change: number): boolean {
    const row = this.row(id) ?? this.measure(id);
    const refs = row.refs + change;
    if (refs > 0) {
      this.tables.table('objects').putSync(objectKey(id), encodeObject({ ...row, refs }));
      return false;
    }
    this.tables.table('objects').removeSync(objectKey(id));
    return true;
  }

  private measure(id: ObjectId): ObjectRow {
    const { size, blocks } = statSync(this.path(id));
    return { size, blocks, refs: 0 };
  }

  removeFile(id: ObjectId): void {
    rmSync(this.path(id), { force: true });
  }
}
