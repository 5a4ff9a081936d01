import type { Name, NodeId } from '../../src/base/ids.ts';
import { isDir } from '../../src/base/mode.ts';
import type { Attr, Node } from '../../src/driver/core/api.ts';
import { native, STAT, STAT_SLOTS } from '../../src/native/binding.ts';

const stat = new Float64Array(STAT_SLOTS);

/** One inode of the small file system: attributes in memory, a file's bytes in a real, unlinked file. */
export class SmallNode implements Node {
  readonly node: NodeId;
  readonly children = new Map<Name, SmallNode>();
  readonly xattrs = new Map<string, Buffer>();
  parent: SmallNode;
  mode: number;
  uid = 0;
  gid = 0;
  rdev = 0;
  nlink = 1;
  target = '';
  /** The backing file, or -1. */
  fd = -1;
  backingId = 0;
  /** Lookup count, as the kernel has it. */
  lookups = 0;
  /** Seconds and nanoseconds: atime, mtime, ctime. */
  readonly times = [0, 0, 0, 0, 0, 0];

  constructor(id: number, mode: number, parent: SmallNode | null) {
    this.node = id as NodeId;
    this.mode = mode;
    this.parent = parent ?? this;
    this.touch();
  }

  counted(): this {
    this.lookups++;
    return this;
  }

  touch(): void {
    const now = new Float64Array(2);
    native.clock(now);
    for (let i = 0; i < 6; i++) this.times[i] = now[i % 2] ?? 0;
  }

  fill(out: Attr): number {
    if (this.fd >= 0) native.statFd(this.fd, stat);
    out.ino = this.node;
    out.mode = this.mode;
    out.uid = this.uid;
    out.gid = this.gid;
    out.rdev = this.rdev;
    out.nlink = isDir(this.mode) ? 2 : this.nlink;
    out.size = this.fd >= 0 ? (stat[STAT.size] ?? 0) : this.target.length;
    out.blocks = this.fd >= 0 ? (stat[STAT.blocks] ?? 0) : 0;
    [out.atime = 0, out.atimeNs = 0, out.mtime = 0, out.mtimeNs = 0] = this.times;
    [, , , , out.ctime = 0, out.ctimeNs = 0] = this.times;
    out.btime = 1_000_000_000;
    out.btimeNs = 5;
    return 0;
  }
}
