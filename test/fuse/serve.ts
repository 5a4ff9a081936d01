/**
 * The child process of the tests: mounts a small file system and serves it.
 *
 *   serve.ts MOUNTPOINT DIRECTORY [--no-passthrough] [--late] [--older]
 *
 * Prints one JSON line when ready (what the kernel granted) and one at the end (statistics). SIGUSR1
 * makes the kernel drop the names in the root; SIGUSR2 ends the session without the mount, and resumes it a moment later;
 * with --older as if its kernel were older;
 * SIGHUP asks the kernel to forget what it knows, and prints how much it holds then; SIGTERM unmounts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Granted } from '../../src/driver/fuse/init.ts';
import { mountDevice, openDevice, unmount } from '../../src/driver/fuse/mount.ts';
import type { SessionPorts } from '../../src/driver/fuse/ports.ts';
import { Session } from '../../src/driver/fuse/session.ts';
import { native } from '../../src/native/binding.ts';
import { SmallFileSystem } from './small-file-system.ts';

const [target = '', directory = '', ...flags] = process.argv.slice(2);
const devFd = openDevice();
const error = devFd < 0 ? devFd : mountDevice(devFd, target, 'small', 0);
if (error < 0) throw new Error(`mount: errno ${String(-error)}`);

let ports: SessionPorts | null = null;
let small: SmallFileSystem | null = null;

function serve(fd: number, resume?: Granted): Session {
  return new Session({
    devFd: fd,
    mountpoint: target,
    noPassthrough: flags.includes('--no-passthrough'),
    allowIdmap: true,
    log: () => undefined,
    fileSystem: (given) => {
      ports = given;
      small ??= new SmallFileSystem(given, { late: flags.includes('--late'), directory });
      return small;
    },
    ...(resume === undefined ? {} : { resume }),
  });
}

/** As an upgrade does it: the connection lives on in a copy of its descriptor. */
async function handOver(): Promise<void> {
  const copy = native.takeFd(process.pid, devFd);
  const { granted } = session;
  await session.detach();
  await sleep(300);
  session = serve(copy, flags.includes('--older') ? { ...granted, minor: 44 } : granted);
  await finish();
}

async function forget(): Promise<void> {
  await ports?.caches.forget(small?.known() ?? []);
  await sleep(100);
  console.log(JSON.stringify({ held: small?.held() }));
}

async function finish(): Promise<void> {
  const errno = await session.ended;
  if (errno === 0) return;
  console.log(JSON.stringify({ errno, held: small?.held(), ...session.stats() }));
}

let session = serve(devFd);
process.on(
  'SIGUSR1',
  () => void ports?.caches.drop({ names: small?.names() ?? [], dirs: [], inodes: [] }),
);
process.on('SIGHUP', () => void forget());
process.on('SIGUSR2', () => void handOver());
process.on('SIGTERM', () => unmount(target, true));
await session.ready;
console.log(JSON.stringify(session.granted));
await finish();
