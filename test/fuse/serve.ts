/**
 * The child process of the tests: mounts a small file system and serves it.
 *
 *   serve.ts MOUNTPOINT DIRECTORY [--no-passthrough] [--late]
 *
 * Prints one JSON line when ready (what the kernel granted) and one at the end (statistics). SIGUSR1
 * expires all names; SIGTERM unmounts.
 */
import { mountDevice, openDevice, unmount } from '../../src/fuse/mount.ts';
import type { SessionPorts } from '../../src/fuse/ports.ts';
import { Session } from '../../src/fuse/session.ts';
import { SmallFileSystem } from './small-file-system.ts';

const [target = '', directory = '', ...flags] = process.argv.slice(2);
const devFd = openDevice();
const error = devFd < 0 ? devFd : mountDevice(devFd, target, 'small', 0);
if (error < 0) throw new Error(`mount: errno ${String(-error)}`);

let ports: SessionPorts | null = null;
let small: SmallFileSystem | null = null;
const session = new Session({
  devFd,
  noPassthrough: flags.includes('--no-passthrough'),
  allowIdmap: true,
  log: () => undefined,
  fileSystem: (given) => {
    ports = given;
    small = new SmallFileSystem(given, { late: flags.includes('--late'), directory });
    return small;
  },
});
process.on('SIGUSR1', () => ports?.caches.expireNames());
process.on('SIGTERM', () => unmount(target, true));
await session.ready;
console.log(JSON.stringify(session.granted));
const errno = await session.ended;
const held = (small as SmallFileSystem | null)?.held();
console.log(JSON.stringify({ errno, held, ...session.stats() }));
