/**
 * idmap-client.ts MOUNTPOINT TARGET: attaches an id-mapped clone of the mount at TARGET (0 inside is
 * 100,000 outside), makes a file in each, and prints the owners as both show them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { unmount } from '../../src/driver/fuse/mount.ts';
import { native } from '../../src/native/binding.ts';

const [mountpoint = '', target = ''] = process.argv.slice(2);
const OUTSIDE = 100_000;

/** A user namespace that lives as long as its one process. */
async function userNamespace(): Promise<{ fd: number; end: () => void }> {
  const child = spawn('unshare', ['--user', 'sh', '-c', 'echo made; read end'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const proc = `/proc/${String(child.pid)}`;
  for (const map of ['uid_map', 'gid_map'])
    fs.writeFileSync(`${proc}/${map}`, `0 ${String(OUTSIDE)} 1000`);
  return { fd: fs.openSync(`${proc}/ns/user`, 'r'), end: () => child.stdin.end() };
}

const namespace = await userNamespace();
const error = native.idmapMount(mountpoint, target, namespace.fd);
namespace.end();
if (error < 0) throw new Error(`idmapMount: errno ${String(-error)}`);
try {
  fs.writeFileSync(`${mountpoint}/direct`, '');
  fs.chownSync(`${target}/direct`, OUTSIDE + 5, OUTSIDE + 6);
  const [through, direct] = [fs.statSync(`${target}/direct`), fs.statSync(`${mountpoint}/direct`)];
  console.log(
    JSON.stringify({ through: [through.uid, through.gid], direct: [direct.uid, direct.gid] }),
  );
} finally {
  unmount(target, true);
}
