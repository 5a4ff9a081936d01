/**
 * Makes and removes further bridges of a network. Each is joined to the first one by a pair of devices (veth), so that both are one
 * network: what is sent on one reaches those on the other, and the gateway, whose address the first one alone has.
 */
import { createHash } from 'node:crypto';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { gatewayOf, SUBNET } from './bridge.ts';
import { complaintOf, runNetworkTool } from './network-tool.ts';

/** The devices of a further bridge. */
interface Devices {
  readonly bridge: string;
  /** The port of the first bridge that leads to it. */
  readonly down: string;
  /** Its own port, which leads to the first bridge. */
  readonly up: string;
}

/** The most characters of a first bridge's name with which those of its devices are not too long (IFNAMSIZ: 15). */
const STEM_MAX = 11;
const STEM_HASH = 8;

/** Returns what the names of a network's further bridges, and of their devices, begin with. */
function stemOf(first: string): string {
  if (first.length <= STEM_MAX) return `${first}-`;
  return `br${createHash('sha256').update(first).digest('hex').slice(0, STEM_HASH)}-`;
}

/** Returns the devices of a further bridge of a network. @param index from 1 on */
export function devicesOfBridge(first: string, index: number): Devices {
  const bridge = `${stemOf(first)}${index}`;
  return { bridge, down: `${bridge}d`, up: `${bridge}u` };
}

/** Returns all further bridges of a network, as iptables(8) names several devices. */
export const furtherBridges = (first: string): string => `${stemOf(first)}+`;

/**
 * Makes a further bridge and joins it to the first one, or does what is left of that. The caller has the lock of bridges.
 * @returns the name of the bridge
 * @throws ByrefError 'unsupported' with what ip(8) says
 */
export async function joinBridge(first: string, index: number): Promise<string> {
  const { bridge, down, up } = devicesOfBridge(first, index);
  if (await isJoined(first, down)) return bridge;
  // The first one is made here, too, if the env for which its plugin would make it is not as far yet.
  await ip(['link', 'add', first, 'type', 'bridge'], 'may fail');
  await ip(['address', 'add', gatewayOf(SUBNET), 'dev', first], 'may fail');
  await ip(['link', 'set', first, 'up']);
  await ip(['link', 'add', bridge, 'type', 'bridge'], 'may fail');
  await ip(['link', 'set', bridge, 'up']);
  await ip(['link', 'add', down, 'type', 'veth', 'peer', 'name', up], 'may fail');
  failpoint('bridge-made');
  await ip(['link', 'set', up, 'master', bridge]);
  await ip(['link', 'set', down, 'master', first, 'up']);
  // Last, since isJoined() sees at the other end that this one is up.
  await ip(['link', 'set', up, 'up']);
  return bridge;
}

/** Returns true if joinBridge() came to its end. */
async function isJoined(first: string, down: string): Promise<boolean> {
  const { code, stdout } = await runNetworkTool(['ip', '-o', 'link', 'show', 'dev', down]);
  const shown = stdout.toString();
  return code === 0 && /[<,]LOWER_UP[,>]/.test(shown) && shown.includes(` master ${first} `);
}

/** Removes a further bridge. What is not there is no error. The caller has the lock of bridges. */
export async function removeBridge(first: string, index: number): Promise<void> {
  const { bridge, down } = devicesOfBridge(first, index);
  // With its other end.
  await ip(['link', 'del', down], 'may fail');
  await ip(['link', 'del', bridge], 'may fail');
}

async function ip(words: readonly string[], how?: 'may fail'): Promise<void> {
  const ended = await runNetworkTool(['ip', ...words]);
  if (ended.code === 0 || how === 'may fail') return;
  const message = `a further bridge for envs could not be made: ip ${words.join(' ')}: ${complaintOf(ended)}`;
  const hint =
    'See byref doctor, and ip link; stop envs on the first bridge to do without a further one.';
  throw new ByrefError('unsupported', message, hint);
}
