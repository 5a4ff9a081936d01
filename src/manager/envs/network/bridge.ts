/** The network of envs: a bridge of the machine, on which each has an address, with published ports and limits of its rate. */
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
/** How much may come at once beyond the rate: a tenth of a second's worth, and no less than the kernel needs. */
const BURST_PART = 0.1;
const BURST_MIN_BITS = 8 * 64 * 1024;
const BITS = 8;

/** What an env wants of the network. */
export type NetworkSettings = Pick<EnvSettings, 'ports' | 'limits'>;

/**
 * Returns the network as CNI takes it.
 * @param leases the directory in which addresses that are taken are noted
 */
export function bridgeNetwork({ limits, ports }: NetworkSettings, leases: string): CniNetwork {
  const { ingressBytes, egressBytes } = limits;
  const isLimited = ingressBytes !== null || egressBytes !== null;
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
  const bandwidth: CniPlugin = { type: 'bandwidth', capabilities: { bandwidth: true } };
  return {
    cniVersion: CNI_VERSION,
    name: NAME,
    plugins: [
      bridge,
      // Lets traffic of envs through where the machine forwards none of others, as with Docker.
      { type: 'firewall' },
      ...(ports.length > 0 ? [portmap] : []),
      ...(isLimited ? [bandwidth] : []),
    ],
  };
}

/** Returns the arguments for plugins. Ingress is what comes to the env. */
export function runtimeArguments({ ports, limits }: NetworkSettings): Record<string, unknown> {
  const { ingressBytes, egressBytes } = limits;
  return {
    portMappings: parsePorts(ports),
    bandwidth: { ...rate('ingress', ingressBytes), ...rate('egress', egressBytes) },
  };
}

function rate(direction: 'ingress' | 'egress', bytes: number | null): Record<string, number> {
  if (bytes === null) return {};
  const bits = bytes * BITS;
  const burst = Math.max(BURST_MIN_BITS, Math.round(bits * BURST_PART));
  return { [`${direction}Rate`]: bits, [`${direction}Burst`]: burst };
}
