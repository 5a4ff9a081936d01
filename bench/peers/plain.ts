import type { Env, Peer, PeerSite } from './peer.ts';

/** A directory of the backing file system itself: what the others are compared to. */
export function plainPeer(site: PeerSite): Peer {
  const env: Env = { root: site.plain, close: () => Promise.resolve() };
  return {
    name: 'plain',
    copiesOnWrite: false,
    prepare: () => Promise.resolve(),
    open: () => Promise.resolve(env),
    close: () => Promise.resolve(),
  };
}
