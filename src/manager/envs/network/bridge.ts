/** The network of envs: a bridge of the machine, on which each has an address, with published ports. */
import type { EnvSettings } from '../../../codec/env-settings.ts';
import type { CniNetwork, CniPlugin } from './cni.ts';
import { parsePorts } from './ports.ts';

/** The version of the specification that Debian 12's plugins read. */
const CNI_VERSION = '1.0.0';
const NAME = 'byref';
/** The bridge of envs. */
export const BRIDGE = process.env['BYREF_BRIDGE'] ?? 'byref0';
/** Its addresses; the first one is the machine's. */
export const SUBNET = process.env['BYREF_SUBNET'] ?? '10.111.0.0/16';

/** Returns the gateway of a subnet as ADDRESS/PREFIX: its first address, as host-local takes it. */
export function gatewayOf(subnet: string): string {
  const [address = '', prefix = ''] = subnet.split('/');
  const bits = BigInt(32 - Number(prefix));
  const whole = address.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const gateway = ((whole >> bits) << bits) + 1n;
  const bytes = [24n, 16n, 8n, 0n].map((shift) => (gateway >> shift) & 255n);
  return `${bytes.join('.')}/${prefix}`;
}

/** What an env wants of the network. */
export type NetworkSettings = Pick<EnvSettings, 'ports' | 'limits'>;

/**
 * Returns the network as CNI takes it.
 * @param leases the directory in which addresses that are taken are noted
 * @param name the bridge that the env gets a port of: the first one, or one that is joined to it
 */
export function bridgeNetwork(
  { ports }: NetworkSettings,
  leases: string,
  name: string,
): CniNetwork {
  const bridge = {
    type: 'bridge',
    capabilities: { ips: true, mac: true } as const,
    bridge: name,
    // There is one gateway for all.
    isGateway: name === BRIDGE,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: SUBNET }]],
      routes: [{ dst: '0.0.0.0/0' }],
      dataDir: leases,
    },
  };
  const portmap: CniPlugin = { type: 'portmap', capabilities: { portMappings: true } };
  // What the plugins firewall and bridge (ipMasq) would do for each env is done once, by packet-filter.ts.
  return {
    cniVersion: CNI_VERSION,
    name: NAME,
    plugins: [bridge, ...(ports.length > 0 ? [portmap] : [])],
  };
}

/** Where an env is on the bridge. */
export interface PlaceOnBridge {
  /** ADDRESS/PREFIX. */
  readonly address: string;
  /** The address of its interface. */
  readonly mac: string;
}

/** Returns the arguments for plugins. @param wanted the place that the env has to have; null: any that is free */
export const runtimeArguments = (
  { ports }: NetworkSettings,
  wanted: PlaceOnBridge | null,
): Record<string, unknown> => ({
  portMappings: parsePorts(ports),
  ...(wanted !== null && { ips: [wanted.address], mac: wanted.mac }),
});
