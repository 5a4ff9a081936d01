/**
 * Serves the do-nothing file system at a mount point until SIGTERM or SIGINT:
 *
 *   node --import tsx bench/floor/server.ts MOUNTPOINT [CACHE_SECONDS]
 *
 * Prints "ready" when mounted. CACHE_SECONDS 0 makes every stat ask; by default names and attributes
 * are kept for good, as byref does.
 */
import { mountDevice, openDevice, unmount } from '../../src/driver/fuse/mount.ts';
import { Session } from '../../src/driver/fuse/session.ts';
import { FloorFileSystem } from './file-system.ts';

const [target, cacheSeconds] = process.argv.slice(2);
if (target === undefined) throw new Error('usage: server.ts MOUNTPOINT [CACHE_SECONDS]');

const devFd = openDevice();
if (devFd < 0) throw new Error(`/dev/fuse: errno ${String(-devFd)}`);
const error = mountDevice(devFd, target, 'floor', 0);
if (error < 0) throw new Error(`mount ${target}: errno ${String(-error)}`);

const session = new Session({
  devFd,
  mountpoint: target,
  fileSystem: () => new FloorFileSystem(),
  ...(cacheSeconds === undefined ? {} : { cacheSeconds: Number(cacheSeconds) }),
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => unmount(target, true));
await session.ready;
console.log('ready');
await session.ended;
