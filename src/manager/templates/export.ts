/** Writes one version as a tar that any tool reads, and that imports as the same tree: `byref template export`. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { openGivenOutput } from '../../base/given-files.ts';
import type { Ino, ObjectId } from '../../base/ids.ts';
import { isDir, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT } from '../../base/mode.ts';
import { FLAG_OWN_ATTRS, type InodeRecord } from '../../codec/inode-record.ts';
import { dataRanges, type Range } from '../../native/data-ranges.ts';
import type { StackRef, Store } from '../../store/store.ts';
import { aclToText } from './tar/acl.ts';
import { LISTED, XATTR_KEY } from './tar/pax.ts';
import { END_MARK, memberHeader, type NewMember, padding, sparseHeader } from './tar/writer.ts';
import { ACL_KEYS, encodePercent } from './tar/xattrs.ts';
import type { OnProgress } from './tree.ts';
import { REPORT_EVERY } from './tree.ts';
import { versionTree, walkVersion } from './walk-version.ts';

const STDOUT = 1;
const PIECE = 2 ** 20;
const TYPES: Record<number, string> = {
  [S_IFLNK]: '2',
  [S_IFCHR]: '3',
  [S_IFBLK]: '4',
  [S_IFDIR]: '5',
  [S_IFIFO]: '6',
};

/**
 * Exports the version that NAME or NAME@VERSION refers to; `target` "-" is standard output. A file appears
 * under its name only when it is complete; a device or a FIFO is written to.
 * @param onWait is told who is waited for, as of openGivenOutput()
 * @throws ByrefError 'notFound', 'corrupt' if an object is missing or of another size, 'badInput' for a target that is no file
 */
export function exportTemplate(
  store: Store,
  ref: string,
  target: string,
  progress: OnProgress = () => undefined,
  onWait: (whom: string) => void = () => undefined,
): void {
  // Resolved before the target is touched.
  const lower = versionTree(store, ref);
  if (target === '-') {
    new TarExport(store, STDOUT, progress).write(walkVersion(lower));
    return;
  }
  const output = openGivenOutput(target, onWait);
  try {
    new TarExport(store, output.fd, progress).write(walkVersion(lower));
  } catch (cause) {
    output.abandon();
    throw cause;
  }
  output.finish();
}

/**
 * Writes one version as a listing: the same tar, with a file's object in the place of its bytes. It has all of the version's identity in it.
 * importListing() makes the same version of it.
 */
export function exportListing(store: Store, ref: StackRef, fd: number): void {
  new TarExport(store, fd, () => undefined, true).write(walkVersion(store.lowerTree([ref])));
}

class TarExport {
  private readonly store: Store;
  private readonly fd: number;
  private readonly progress: OnProgress;
  private readonly isListing: boolean;
  /** Files with several names: the path under which each was written. */
  private readonly written = new Map<Ino, string>();
  private readonly piece = Buffer.allocUnsafe(PIECE);
  private files = 0;
  private bytes = 0;

  constructor(store: Store, fd: number, progress: OnProgress, isListing = false) {
    this.store = store;
    this.fd = fd;
    this.progress = progress;
    this.isListing = isListing;
  }

  write(entries: Iterable<{ path: string; record: InodeRecord }>): void {
    for (const { path, record } of entries) {
      const member = this.member(`./${path}`, record);
      if (this.isListing) this.put(memberHeader(listed(member, record)));
      else if (member.size > 0) this.putFile(member, record.object as ObjectId);
      else this.put(memberHeader(member));
      this.files++;
      if (this.files % REPORT_EVERY === 0) {
        this.progress({ phase: 'store', files: this.files, bytes: this.bytes });
      }
    }
    this.put(END_MARK);
  }

  private member(path: string, record: InodeRecord): NewMember {
    const { mode, uid, gid, mtime, mtimeNs, rdev } = record;
    const first = this.written.get(record.ino);
    if (!isDir(mode) && record.nlink > 1 && first === undefined) this.written.set(record.ino, path);
    return {
      path: isDir(mode) && !path.endsWith('/') ? `${path}/` : path,
      type: first !== undefined ? '1' : (TYPES[mode & S_IFMT] ?? '0'),
      mode,
      uid,
      gid,
      size: first === undefined && record.object !== '' ? record.size : 0,
      mtime,
      mtimeNs,
      linkPath: first ?? record.target,
      major: (rdev >>> 8) & 0xfff,
      minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
      pax: first === undefined ? xattrRecords(record) : [],
    };
  }

  /** Writes a file. One with holes becomes a sparse member, which contains only its data. */
  private putFile(member: NewMember, id: ObjectId): void {
    const path = this.store.objects.path(id);
    const fd = openSync(path, 'r');
    try {
      if (fstatSync(fd).size < member.size) {
        throw new ByrefError('corrupt', `${path} is too short`, 'Import the template again.');
      }
      const ranges = [...dataRanges(fd, member.size)];
      const stored = ranges.reduce((sum, [begin, end]) => sum + end - begin, 0);
      this.put(stored < member.size ? sparseHeader(member, ranges) : memberHeader(member));
      for (const range of ranges) this.putRange(fd, range);
      this.put(padding(stored));
    } finally {
      closeSync(fd);
    }
    this.bytes += member.size;
  }

  private putRange(fd: number, [begin, end]: Range): void {
    for (let at = begin; at < end; ) {
      const n = readSync(fd, this.piece, 0, Math.min(PIECE, end - at), at);
      if (n === 0) throw new ByrefError('corrupt', 'an object was cut off', 'Run byref fsck.');
      this.put(this.piece.subarray(0, n));
      at += n;
    }
  }

  private put(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at += writeSome(this.fd, bytes, at);
  }
}

/** Puts what the archive would have to say otherwise into a member's extended header. */
function listed(member: NewMember, { mode, flags, object }: InodeRecord): NewMember {
  const text = (key: string, value: string) => [key, Buffer.from(value, 'latin1')] as const;
  const ofFile =
    member.size > 0
      ? [text(LISTED.object, object), text(LISTED.size, String(member.size))]
      : ([] as const);
  const isOwn = isDir(mode) && (flags & FLAG_OWN_ATTRS) !== 0;
  const ofDirectory = isOwn ? [text(LISTED.own, '1')] : [];
  return { ...member, size: 0, pax: [...member.pax, ...ofFile, ...ofDirectory] };
}

const PIPE_WAIT_MS = 1;
const nothing = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/**
 * Writes some bytes; returns how many. Node.js makes a pipe at standard output non-blocking, so it takes
 * nothing while its reader is slow.
 */
function writeSome(fd: number, bytes: Buffer, at: number): number {
  try {
    return writeSync(fd, bytes, at);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EPIPE') {
      const message = 'who read it ended early: the archive is not whole';
      throw new ByrefError('error', message, 'Write to a file to keep it.', { cause });
    }
    if (code !== 'EAGAIN') throw cause;
    Atomics.wait(nothing, 0, 0, PIPE_WAIT_MS);
    return 0;
  }
}

function xattrRecords(record: InodeRecord): [string, Buffer][] {
  const records: [string, Buffer][] = [];
  for (const [name, value] of record.xattrs ?? []) {
    const acl = (ACL_KEYS as Record<string, string | undefined>)[name];
    if (acl === undefined) records.push([XATTR_KEY + encodePercent(name), value]);
    else records.push([acl, Buffer.from(aclToText(value))]);
  }
  return records;
}
