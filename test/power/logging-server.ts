/**
 * Serves one file, `disk`, over an image, and logs in which order it is written and flushed, until the mount is gone:
 *
 *   node --import tsx test/power/logging-server.ts MOUNTPOINT IMAGE LOG
 *
 * A loop device on that file sends all of its writes and flushes here. Prints "ready" when mounted. write-log.ts reads the log.
 */
import fs from 'node:fs';
import { FloorFileSystem } from '../../bench/floor/file-system.ts';
import { ENOENT, EOPNOTSUPP } from '../../src/base/errno.ts';
import { type Name, type NodeId, nameFromText } from '../../src/base/ids.ts';
import { S_IFDIR, S_IFREG } from '../../src/base/mode.ts';
import { type Attr, IO_UNCACHED, type Node, type Opened } from '../../src/driver/core/api.ts';
import { mountDevice, openDevice, unmount } from '../../src/driver/fuse/mount.ts';
import { Session } from '../../src/driver/fuse/session.ts';
import { recordOf } from './write-log.ts';

const ROOT = 1;
const DISK = nameFromText('disk');
const DISK_NODE = 2 as NodeId;
const NOTHING: Uint8Array = new Uint8Array(0);

class LoggingFileSystem extends FloorFileSystem {
  private readonly image: number;
  private readonly log: number;
  private readonly size: number;
  private readonly disk: Opened = { fh: 1, io: IO_UNCACHED, backingId: 0 };

  constructor(image: string, log: string) {
    super();
    this.image = fs.openSync(image, 'r+');
    this.log = fs.openSync(log, 'a');
    this.size = fs.fstatSync(this.image).size;
  }

  override lookup(_parent: NodeId, name: Name): Node | number {
    return name === DISK ? { node: DISK_NODE } : -ENOENT;
  }

  override attr(node: NodeId, out: Attr): number {
    super.attr(node, out);
    const isRoot = (node as number) === ROOT;
    out.mode = isRoot ? S_IFDIR | 0o755 : S_IFREG | 0o600;
    out.size = isRoot ? 0 : this.size;
    out.blocks = out.size / 512;
    return 0;
  }

  override open(): Opened {
    return this.disk;
  }

  override read(_fh: number, offset: number, length: number, buf = NOTHING, at = 0): number {
    return fs.readSync(this.image, buf, at, length, offset);
  }

  override write = (_fh = 0, offset = 0, buf = NOTHING, at = 0, length = 0): number => {
    const bytes = Buffer.from(buf.subarray(at, at + length));
    fs.writeSync(this.log, recordOf({ offset, bytes }));
    return fs.writeSync(this.image, bytes, 0, length, offset);
  };

  override fsync = (): Promise<number> => {
    fs.writeSync(this.log, recordOf(null));
    return Promise.resolve(0);
  };

  override fallocate = (): Promise<number> => Promise.resolve(-EOPNOTSUPP);
  override setattr = (): number => 0;
}

const [, , mountpoint = '', image = '', log = ''] = process.argv;
const devFd = openDevice();
if (devFd < 0) throw new Error(`/dev/fuse: errno ${-devFd}`);
const error = mountDevice(devFd, mountpoint, 'logging', 0);
if (error < 0) throw new Error(`mount ${mountpoint}: errno ${-error}`);
const session = new Session({
  devFd,
  mountpoint,
  fileSystem: () => new LoggingFileSystem(image, log),
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => unmount(mountpoint, true));
await session.ready;
console.log('ready');
await session.ended;
