import { join } from 'node:path';
import { type ByrefCli, byrefCli } from '../byref-cli.ts';
import { unmount } from '../mounts.ts';
import type { Env, Peer, PeerSite } from './peer.ts';

const TEMPLATE = 'bench';

/** One root, with the template imported, for all byref peers of a site: an import takes long. */
const roots = new WeakMap<PeerSite, Promise<ByrefCli>>();

async function makeRoot(site: PeerSite): Promise<ByrefCli> {
  const dir = join(site.dir, 'byref');
  const cli = await byrefCli(dir);
  await cli.run('template', 'import', TEMPLATE, site.lower, '--kind', 'os');
  return cli;
}

function rootOf(site: PeerSite): Promise<ByrefCli> {
  const root = roots.get(site) ?? makeRoot(site);
  roots.set(site, root);
  return root;
}

/** byref itself; `mountFlags` chooses a transport or data path. */
export function byrefPeer(name: string, mountFlags: readonly string[], site: PeerSite): Peer {
  return {
    name,
    copiesOnWrite: true,
    prepare: async () => {
      await rootOf(site);
    },
    open: (id) => openEnv(site, `${name}-${id}`, mountFlags),
    close: async () => {
      const cli = await rootOf(site).catch(() => undefined);
      await cli?.close();
    },
  };
}

async function openEnv(site: PeerSite, name: string, mountFlags: readonly string[]): Promise<Env> {
  const cli = await rootOf(site);
  await cli.run('create', name, '--os', TEMPLATE);
  await cli.run('mount', name, ...mountFlags);
  const root = await cli.mountpoint(name);
  const close = async (): Promise<void> => {
    await cli.run('umount', name).catch(() => unmount(root));
    await cli.run('destroy', name);
  };
  return { root, close };
}
