/**
 * Handlers of READDIR and READDIRPLUS. Directories are opened and closed without us (NO_OPENDIR_SUPPORT): a
 * listing goes by nodeid and place, and keeps no state here.
 */
import { inoOf, type Name, type NodeId } from '../../../base/ids.ts';
import type { DirSink, Node } from '../../core/api.ts';
import { putEntry } from '../attr.ts';
import {
  MAX_IO,
  placeCookie,
  placeOrdinal,
  put32,
  put64,
  putPlace,
  putZeros,
  reply,
  u32,
  u64,
} from '../buffers.ts';
import type { Connection } from '../connection.ts';
import { DIRENT_BYTES, ENTRY_OUT_BYTES, IN, OUT_BYTES, READ_IN } from '../wire.ts';

/** Packs entries into the reply, from `at` up to `end`. There is one for the process, like the reply buffer. */
class ReplySink implements DirSink {
  connection: Connection | null = null;
  plusEntries = false;
  at = 0;
  end = 0;

  start(c: Connection, plusEntries: boolean, bytes: number): void {
    this.connection = c;
    this.plusEntries = plusEntries;
    this.at = OUT_BYTES;
    this.end = OUT_BYTES + Math.min(bytes, MAX_IO);
  }

  /** In a READDIRPLUS, nodeid 0 says that this name comes without its inode ("." and ".."). */
  entry(name: Name, ino: number, type: number, cookie: number, ordinal: number): boolean {
    if (!this.fits(name)) return false;
    if (this.plusEntries) this.noEntry();
    this.dirent(name, ino, type, cookie, ordinal);
    return true;
  }

  plus(name: Name, node: Node, type: number, cookie: number, ordinal: number): boolean {
    if (!this.fits(name)) return false;
    const c = this.connection as Connection;
    if (putEntry(c, this.at / 4, node) < 0) this.noEntry();
    else this.at += ENTRY_OUT_BYTES;
    this.dirent(name, inoOf(node.node), type, cookie, ordinal);
    return true;
  }

  private fits(name: Name): boolean {
    const entryBytes = this.plusEntries ? ENTRY_OUT_BYTES : 0;
    return this.at + entryBytes + DIRENT_BYTES + padded(name.length) <= this.end;
  }

  private noEntry(): void {
    putZeros(this.at / 4, (this.at + ENTRY_OUT_BYTES) / 4);
    this.at += ENTRY_OUT_BYTES;
  }

  private dirent(name: Name, ino: number, type: number, cookie: number, ordinal: number): void {
    const word = this.at / 4;
    const start = this.at + DIRENT_BYTES;
    this.at = start + padded(name.length);
    // The last words are cleared first, because the name ends within them and the rest must be zero.
    put64(this.at / 4 - 2, 0);
    put64(word, ino);
    putPlace(word + 2, cookie, ordinal);
    put32(word + 4, name.length);
    put32(word + 5, type >>> 12);
    reply.latin1Write(name, start);
  }
}

/** Rounds a name's length up to a multiple of 8 bytes. */
const padded = (length: number): number => (length + 7) & ~7;

const sink = new ReplySink();

function list(c: Connection, plusEntries: boolean): number {
  sink.start(c, plusEntries, u32(READ_IN.size));
  const node = u64(IN.nodeid) as NodeId;
  const [cookie, ordinal] = [placeCookie(READ_IN.offset), placeOrdinal(READ_IN.offset)];
  const error = c.fs.readdir(node, cookie, ordinal, plusEntries, sink);
  return error < 0 ? error : sink.at;
}

/** Serves READDIR. */
export const readdir = (c: Connection): number => list(c, false);
/** Serves READDIRPLUS. */
export const readdirplus = (c: Connection): number => list(c, true);
