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
const SUBNET = process.env['BYREF_SUBNET'] ?? '10.111.0.0/16';

/** What an env wants of the network. */
export type NetworkSettings = Pick<EnvSettings, 'ports' | 'limits'>;

/**
 * Returns the network as CNI takes it.
 * @param leases the directory in which addresses that are taken are noted
 */
export function bridgeNetwork({ ports }: NetworkSettings, leases: string): CniNetwork {
  const bridge = {
    type: 'bridge',
    bridge: BRIDGE,
    isGateway: true,
    ipMasq: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: SUBNET }]],
      routes: [{ dst: '0.0.0.0/0' }],
      dataDir: leases,
    },
  };
  const portmap: CniPlugin = { type: 'portmap', capabilities: { portMappings: true } };
  return {
    cniVersion: CNI_VERSION,
    name: NAME,
    plugins: [
      bridge,
      // Lets traffic of envs through where the machine forwards none of others, as with Docker.
      { type: 'firewall' },
      ...(ports.length > 0 ? [portmap] : []),
    ],
  };
}

/** Returns the arguments for plugins. */
export const runtimeArguments = ({ ports }: NetworkSettings): Record<string, unknown> => ({
  portMappings: parsePorts(ports),
});
