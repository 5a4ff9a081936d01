/**
 * Reads the members of a tar stream one after the other, with all extensions applied. It knows nothing of file
 * systems.
 */
import { ByteSource } from './byte-source.ts';
import { BLOCK, badArchive, cString, isZeroBlock, parseHeader, type TarHeader } from './header.ts';
import { LISTED, type PaxRecords, parseInteger, parsePax, parseTime } from './pax.ts';
import { oldSparseMap, paxSparseMap, type SparseMap } from './sparse.ts';
import { paxAcls, paxXattrs } from './xattrs.ts';

/** A member. Its content is read with TarReader.readContent or readPiece, or is skipped. */
export interface TarMember {
  /** As in the archive: a binary string, not checked. */
  readonly path: string;
  readonly type: string;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  /** Null where the archive does not say. */
  readonly atime: { readonly seconds: number; readonly ns: number } | null;
  readonly linkPath: string;
  readonly major: number;
  readonly minor: number;
  /** The file's size in bytes once it is unpacked. */
  readonly size: number;
  readonly sparse: SparseMap | null;
  readonly xattrs: Map<string, Buffer> | null;
  /**
   * ACLs that the archive has as text only, by the attribute's name. Names in them refer to the archive's own
   * account files.
   */
  readonly acls: ReadonlyMap<string, string> | null;
  /** What only a listing says of a member; null in other archives. */
  readonly listed: Listed | null;
}

/** What a listing says of a member, beside what any tar does. */
export interface Listed {
  /** The object with a file's bytes, as the archive has it; '' for a member without any. */
  readonly object: string;
  /** The size of that object. */
  readonly size: number;
  /** Of a directory: its attributes take precedence over those of templates below. */
  readonly own: boolean;
}

/** An extended header or a long name of more bytes than this is refused as malicious. */
const EXTENSION_MAX = 2 ** 20 * 8;
const PIECE_MAX = 2 ** 20;

/** Iterates over the members of one stream. */
export class TarReader {
  private readonly source: ByteSource;
  private readonly strict: boolean;
  private readonly global: PaxRecords = new Map();
  /** Bytes of the current member that were not read yet, and of the padding after them. */
  private left = 0;
  private padding = 0;

  /** @param strict refuse an archive without its end mark (two blocks of zeros) as truncated */
  constructor(stream: AsyncIterable<Buffer>, strict = true) {
    this.source = new ByteSource(stream);
    this.strict = strict;
  }

  /** Returns how many bytes of the archive were read so far. */
  get consumed(): number {
    return this.source.consumed;
  }

  /** Returns the next member, or null at the archive's end. @throws ByrefError 'badInput' */
  async next(): Promise<TarMember | null> {
    const pax: PaxRecords = new Map(this.global);
    const repeated: [string, Buffer][] = [];
    let longName: string | null = null;
    let longLink: string | null = null;
    for (;;) {
      await this.skipRest();
      const block = await this.header();
      if (block === null) return null;
      const header = parseHeader(block);
      this.left = header.size;
      this.padding = (BLOCK - (header.size % BLOCK)) % BLOCK;
      if (header.type === 'g') parsePax(await this.extension(), this.global);
      else if (header.type === 'x') parsePax(await this.extension(), pax, repeated);
      else if (header.type === 'L') longName = cString(await this.extension());
      else if (header.type === 'K') longLink = cString(await this.extension());
      else return this.member(header, block, pax, repeated, longName, longLink);
    }
  }

  private async header(): Promise<Buffer | null> {
    const block = await this.source.read(BLOCK);
    if (block !== null && !isZeroBlock(block)) return Buffer.from(block);
    if (block === null && this.strict) {
      throw badArchive('the archive is truncated: it ends without its end mark');
    }
    // Read on to the end, so that a decompressor that checks it at its end gets there.
    while ((await this.source.some(PIECE_MAX)) !== null);
    return null;
  }

  private async extension(): Promise<Buffer> {
    if (this.left > EXTENSION_MAX) throw badArchive('the archive has an endless extended header');
    const bytes = Buffer.allocUnsafe(this.left);
    await this.fill(bytes);
    return bytes;
  }

  private async member(
    header: TarHeader,
    block: Buffer,
    pax: PaxRecords,
    repeated: readonly [string, Buffer][],
    longName: string | null,
    longLink: string | null,
  ): Promise<TarMember> {
    const text = (key: string) => pax.get(key)?.toString('latin1');
    const number = (key: string, otherwise: number) => {
      const value = pax.get(key);
      return value === undefined ? otherwise : parseInteger(key, value);
    };
    this.setSize(header, number('size', header.size));
    const sparse =
      header.type === 'S'
        ? await oldSparseMap(block, this.source)
        : await paxSparseMap(pax, repeated, () => this.block());
    const mtime = parseTime(text('mtime') ?? String(header.mtime));
    const atime = text('atime');
    const xattrs = paxXattrs(pax);
    return {
      path: text('GNU.sparse.name') ?? text('path') ?? longName ?? header.name,
      type: header.type,
      mode: header.mode & 0o7777,
      uid: number('uid', header.uid),
      gid: number('gid', header.gid),
      mtime: mtime.seconds,
      mtimeNs: mtime.ns,
      atime: atime === undefined ? null : parseTime(atime),
      linkPath: text('linkpath') ?? longLink ?? header.linkName,
      major: header.major,
      minor: header.minor,
      size: sparse?.size ?? this.left,
      sparse,
      xattrs,
      acls: paxAcls(pax, xattrs),
      listed: listedIn(pax, number),
    };
  }

  /** Sets how much data follows. Links and directories have none, whatever size their header says. */
  private setSize(header: TarHeader, size: number): void {
    const bytes = '123456'.includes(header.type) ? 0 : size;
    if (bytes < 0) throw badArchive('the archive has a member of negative size');
    this.left = bytes;
    this.padding = (BLOCK - (bytes % BLOCK)) % BLOCK;
  }

  private async block(): Promise<Buffer> {
    const block = Buffer.allocUnsafe(BLOCK);
    await this.fill(block);
    return block;
  }

  /** Returns the whole content, in memory of its own. */
  async readContent(): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(this.left);
    await this.fill(bytes);
    return bytes;
  }

  /** Returns the next bytes of the content, at most `max`, valid until the next call. */
  async readPiece(max: number): Promise<Buffer> {
    const piece = await this.source.some(Math.min(max, this.left));
    if (piece === null || this.left === 0) throw truncated();
    this.left -= piece.length;
    return piece;
  }

  private async fill(bytes: Buffer): Promise<void> {
    if (bytes.length > this.left || !(await this.source.readInto(bytes))) throw truncated();
    this.left -= bytes.length;
  }

  private async skipRest(): Promise<void> {
    const { left, padding } = this;
    this.left = 0;
    this.padding = 0;
    if (!(await this.source.skip(left))) throw truncated();
    // Programs that write no end mark, such as umoci, do not fill up the last block either.
    if (!(await this.source.skip(padding)) && this.strict) throw truncated();
  }
}

function listedIn(
  pax: PaxRecords,
  number: (key: string, otherwise: number) => number,
): Listed | null {
  const object = pax.get(LISTED.object)?.toString('latin1') ?? '';
  const own = pax.has(LISTED.own);
  return object === '' && !own ? null : { object, size: number(LISTED.size, -1), own };
}

const truncated = () => badArchive('the archive is truncated: it ends inside a member');
