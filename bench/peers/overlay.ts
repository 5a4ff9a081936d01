import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unmount } from '../mounts.ts';
import { run } from '../process.ts';
import type { Env, Peer, PeerSite } from './peer.ts';

/** The kernel's overlayfs, with its default options. */
export const overlayPeer = (site: PeerSite): Peer =>
  layered('overlayfs', site, (options, mountpoint) =>
    run('mount', ['-t', 'overlay', '-o', options, 'overlay', mountpoint]),
  );

/** containers/fuse-overlayfs, as Debian packages it. */
export const fuseOverlayPeer = (site: PeerSite): Peer =>
  layered('fuse-overlayfs', site, (options, mountpoint) =>
    run('fuse-overlayfs', ['-o', options, mountpoint]),
  );

function layered(
  name: string,
  site: PeerSite,
  mount: (options: string, mountpoint: string) => Promise<unknown>,
): Peer {
  const base = join(site.dir, name);
  return {
    name,
    copiesOnWrite: true,
    prepare: () => Promise.resolve(),
    open: async (id): Promise<Env> => {
      const dir = join(base, id);
      const [upper, scratch, root] = ['upper', 'work', 'root'].map((part) => join(dir, part));
      if (!upper || !scratch || !root) throw new Error('unreachable');
      for (const part of [upper, scratch, root]) mkdirSync(part, { recursive: true });
      await mount(`lowerdir=${site.lower},upperdir=${upper},workdir=${scratch}`, root);
      const close = async (): Promise<void> => {
        await unmount(root);
        rmSync(dir, { recursive: true, force: true });
      };
      return { root, close };
    },
    close: () => Promise.resolve(),
  };
}
