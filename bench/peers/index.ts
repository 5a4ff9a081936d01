import { byrefPeer } from './byref.ts';
import { floorPeer } from './floor.ts';
import { fuseOverlayPeer, overlayPeer } from './overlay.ts';
import type { Peer, PeerSite } from './peer.ts';
import { plainPeer } from './plain.ts';

const PEERS: Record<string, (site: PeerSite) => Peer> = {
  plain: plainPeer,
  overlayfs: overlayPeer,
  'fuse-overlayfs': fuseOverlayPeer,
  byref: (site) => byrefPeer('byref', [], site),
  'byref-no-passthrough': (site) => byrefPeer('byref-no-passthrough', ['--no-passthrough'], site),
  'byref-fuse-native': (site) =>
    byrefPeer('byref-fuse-native', ['--transport', 'fuse-native'], site),
  floor: floorPeer,
};

export const PEER_NAMES = Object.keys(PEERS);

export function makePeers(names: readonly string[], site: PeerSite): Peer[] {
  return names.map((name) => {
    const make = PEERS[name];
    if (!make) throw new Error(`no such peer: ${name}`);
    return make(site);
  });
}
