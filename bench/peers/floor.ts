import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { unmount } from '../mounts.ts';
import { pause } from '../process.ts';
import type { Env, Peer, PeerSite } from './peer.ts';

const SERVER = join(import.meta.dirname, '..', 'floor', 'server.ts');
const START_MS = 10_000;

/**
 * A FUSE server that answers every request with a constant: the kernel's round trip, below which no
 * user-space file system gets. Only the rows that say so run on it.
 */
export function floorPeer(site: PeerSite): Peer {
  return {
    name: 'floor',
    copiesOnWrite: true,
    prepare: () =>
      existsSync(SERVER) ? Promise.resolve() : Promise.reject(new Error(`${SERVER} is missing`)),
    open: async (id): Promise<Env> => {
      const root = join(site.dir, 'floor', id);
      mkdirSync(root, { recursive: true });
      const server = spawn(process.execPath, ['--import', 'tsx', SERVER, root], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await ready(server);
      const close = async (): Promise<void> => {
        await unmount(root);
        await pause(100);
        server.kill('SIGKILL');
      };
      return { root, close };
    },
    close: () => Promise.resolve(),
  };
}

/** Resolves at the line `ready`; rejects if the server ends first, or says nothing. */
function ready(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      server.kill('SIGKILL');
      reject(new Error('floor server: not ready in time'));
    }, START_MS);
    server.once('exit', (code) => reject(new Error(`floor server ended with ${code}`)));
    if (!server.stdout) throw new Error('unreachable: stdout is a pipe');
    createInterface(server.stdout).on('line', (line) => {
      if (line.trim() !== 'ready') return;
      clearTimeout(timer);
      resolve();
    });
  });
}
