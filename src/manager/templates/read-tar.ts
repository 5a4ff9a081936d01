/** Reads tar streams into a tree, and the files in them into objects. */
import { closeSync } from 'node:fs';
import type { ObjectId } from '../../base/ids.ts';
import {
  isDir,
  isReg,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
} from '../../base/mode.ts';
import type { ObjectWriter } from '../../store/object-writer.ts';
import { writeContent } from './member-content.ts';
import { badArchive } from './tar/header.ts';
import { type TarMember, TarReader } from './tar/reader.ts';
import { TarAcls } from './tar-acls.ts';
import type { OnProgress, TreeNode } from './tree.ts';
import { REPORT_EVERY } from './tree.ts';
import type { TreeBuilder } from './tree-builder.ts';

/** Names by which a layer of an image says "X is removed", and "nothing from below shows in this directory". */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const META = '.wh..wh.';

const TYPES: Record<string, number> = {
  '0': S_IFREG,
  '7': S_IFREG,
  S: S_IFREG,
  '2': S_IFLNK,
  '3': S_IFCHR,
  '4': S_IFBLK,
  '5': S_IFDIR,
  D: S_IFDIR,
  '6': S_IFIFO,
};
const HARD_LINK = '1';
const OBJECT_ID = /^[0-9a-f]{64}$/;
const VOLUME_LABEL = 'V';
/** Larger files, and sparse ones, are written to disk in pieces. */
const WHOLE_MAX = 4 * 2 ** 20;

/** Decides about a member; an emptied file keeps its attributes. @param path absolute, a binary string */
export type MemberRule = (path: string) => 'keep' | 'empty' | 'leave-out';

/** How a tar is read. */
export interface TarOptions {
  /** The stream is a layer of an image: members named .wh.* are whiteouts. */
  readonly layer: boolean;
  readonly rule?: MemberRule;
  /** It is a listing: is told of each object that it names in the place of a file's bytes. */
  readonly onObject?: (id: ObjectId, size: number) => void;
}

/** Reads one or more archives into one tree. */
export class TarImport {
  private readonly tree: TreeBuilder;
  private readonly writer: ObjectWriter;
  private readonly progress: OnProgress;
  private readonly acls = new TarAcls();
  private readonly now = Math.floor(Date.now() / 1000);
  private files = 0;
  private bytes = 0;

  constructor(tree: TreeBuilder, writer: ObjectWriter, progress: OnProgress) {
    this.tree = tree;
    this.writer = writer;
    this.progress = progress;
  }

  /**
   * @param part how much of all that will be read was read so far, 0 .. 1
   * @throws ByrefError 'badInput' for an archive that is refused
   */
  async read(
    stream: AsyncIterable<Buffer>,
    part: () => number,
    options: TarOptions,
  ): Promise<void> {
    // The digest verifies that a layer is complete, so it needs no end mark.
    const reader = new TarReader(stream, !options.layer);
    for (let member = await reader.next(); member !== null; member = await reader.next()) {
      const rule = options.rule?.(absolute(member.path)) ?? 'keep';
      const isGone = rule === 'leave-out' || (options.layer && this.whiteout(member.path));
      if (!isGone) await this.add(reader, member, rule === 'empty', options.onObject);
      this.count(part);
    }
  }

  /** Call this when all archives of the tree were read. @throws ByrefError 'badInput' for an impossible ACL */
  finish(): void {
    this.acls.applyTo(this.tree.root);
  }

  private whiteout(path: string): boolean {
    const slash = path.lastIndexOf('/');
    const parent = path.slice(0, slash + 1);
    const name = path.slice(slash + 1);
    if (!name.startsWith(WHITEOUT)) return false;
    if (name === OPAQUE) this.tree.clear(parent);
    else if (!name.startsWith(META)) this.tree.remove(parent + name.slice(WHITEOUT.length));
    return true;
  }

  private async add(
    reader: TarReader,
    member: TarMember,
    empty: boolean,
    onObject: TarOptions['onObject'],
  ): Promise<void> {
    if (member.type === VOLUME_LABEL) return;
    if (member.type === HARD_LINK) {
      this.tree.link(member.path, member.linkPath);
      return;
    }
    const type = TYPES[member.type];
    if (type === undefined) {
      throw badArchive(`the archive has a member of a kind that is not known: "${member.type}"`);
    }
    // Before POSIX, a directory was a file whose name ends in a slash.
    const node = this.node(member, type === S_IFREG && member.path.endsWith('/') ? S_IFDIR : type);
    if (empty && isReg(node.mode)) node.size = 0;
    if (onObject !== undefined) list(node, member, onObject);
    // A directory that exists already keeps its node.
    const placed = this.tree.place(member.path, node);
    this.acls.add(member.path, placed, member.acls);
    if (isReg(node.mode) && node.size > 0 && node.object === '')
      await this.addContent(reader, member, node);
  }

  private node(member: TarMember, type: number): TreeNode {
    const { uid, gid, mtime, mtimeNs, xattrs } = member;
    const atime = member.atime ?? { seconds: mtime, ns: mtimeNs };
    const device = type === S_IFCHR || type === S_IFBLK;
    return {
      mode: type | (type === S_IFLNK ? 0o777 : member.mode),
      uid,
      gid,
      rdev: device ? deviceNumber(member.major, member.minor) : 0,
      atime: atime.seconds,
      atimeNs: atime.ns,
      mtime,
      mtimeNs,
      // As if it were unpacked just now.
      ctime: this.now,
      ctimeNs: 0,
      size: type === S_IFREG ? member.size : 0,
      object: '',
      target: type === S_IFLNK ? member.linkPath : '',
      xattrs,
      children: isDir(type) ? new Map() : null,
    };
  }

  private async addContent(reader: TarReader, member: TarMember, node: TreeNode): Promise<void> {
    const done = (id: TreeNode['object'], size: number): void => {
      node.object = id;
      this.bytes += size;
    };
    const whole = member.sparse === null && member.size <= WHOLE_MAX;
    const wait = whole
      ? this.writer.addBytes(await this.readWhole(reader, member, node), done)
      : this.writer.addTemp(await this.writeTemp(reader, member), done);
    if (wait !== null) await wait;
  }

  private async readWhole(reader: TarReader, { path }: TarMember, node: TreeNode): Promise<Buffer> {
    const content = await reader.readContent();
    this.acls.addContent(path, node, content);
    return content;
  }

  private async writeTemp(reader: TarReader, member: TarMember): Promise<string> {
    const { temp, fd } = this.writer.createTemp();
    try {
      await writeContent(reader, member, fd);
    } finally {
      closeSync(fd);
    }
    return temp;
  }

  private count(part: () => number): void {
    this.files++;
    if (this.files % REPORT_EVERY !== 0) return;
    const { files, bytes } = this;
    this.progress({ phase: 'read', files, bytes, part: part() });
  }
}

/** Takes over what a listing says of a member. @throws ByrefError 'badInput' */
function list(
  node: TreeNode,
  { listed, size: stored }: TarMember,
  onObject: NonNullable<TarOptions['onObject']>,
): void {
  if (stored > 0) throw badArchive('the listing has bytes of a file');
  if (isDir(node.mode) && listed?.own === true) node.ownAttributes = true;
  if (listed === null || listed.object === '') return;
  const { object, size } = listed;
  if (!isReg(node.mode) || !OBJECT_ID.test(object) || size <= 0)
    throw badArchive('the listing names an object that can be none');
  node.size = size;
  node.object = object as ObjectId;
  onObject(node.object, size);
}

/** Normalizes a member's path: "./usr/bin/" becomes "/usr/bin". */
const absolute = (member: string): string =>
  `/${member.replace(/^(?:[.]?[/])*/, '').replace(/[/]+$/, '')}`;

/** Returns a device number as stat(2) gives it. */
function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}
