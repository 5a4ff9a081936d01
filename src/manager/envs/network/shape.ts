/**
 * Limits the rate of an env's traffic, by tc(8): what comes to it at the machine's end of its cable, what it sends on a device (IFB) that
 * this is led over on its way in. Both are out of the env's reach. The same calls set a limit, change it, and take it back, whenever.
 */
import { createHash } from 'node:crypto';
import { ByrefError } from '../../../base/error.ts';
import type { EnvLimits } from '../../../codec/env-settings.ts';
import { complaintOf, runNetworkTool } from './network-tool.ts';

/** The limits of an env's traffic, in bytes a second; null: none. */
export type RateLimits = Pick<EnvLimits, 'ingressBytes' | 'egressBytes'>;

/** The machine's devices of an env. */
export interface ShapedDevices {
  /** The machine's end of its cable. */
  readonly cable: string;
  /** The device for what it sends; it exists while that is limited. */
  readonly ifb: string;
}

const IFB_HASH = 11;
/**
 * How much may pass at once, in seconds' worth: of the first second a limit so allows a fortieth too much. Less, and a machine that is
 * late by some milliseconds would lose what passed meanwhile.
 */
const BURST_SECONDS = 0.025;
/** Two Ethernet frames: with less than one, none would ever pass. */
const BURST_MIN = 3028;
/** How much waits, beyond that; more is dropped, which TCP takes for the sign to slow down. */
const QUEUE_SECONDS = 0.1;
const QUEUE_MIN = 16_384;

/** Returns the name of the IFB of an env. @param container unique on the machine */
export const ifbOf = (container: string): string =>
  `byr-${createHash('sha256').update(container).digest('hex').slice(0, IFB_HASH)}`;

/** Returns how many bytes may pass at once under a limit of so many bytes a second. */
export const burstOf = (rate: number): number =>
  Math.max(BURST_MIN, Math.ceil(rate * BURST_SECONDS));

/** Returns the words of tc(8) for a limit. */
function filter(rate: number): string[] {
  const burst = burstOf(rate);
  const queue = burst + Math.max(QUEUE_MIN, Math.ceil(rate * QUEUE_SECONDS));
  return ['tbf', 'rate', `${rate * 8}bit`, 'burst', String(burst), 'limit', String(queue)];
}

/** Sets the limits, or takes them back. @throws ByrefError 'unsupported' with what tc(8) says */
export async function shape(
  devices: ShapedDevices,
  { ingressBytes, egressBytes }: RateLimits,
): Promise<void> {
  const { cable, ifb } = devices;
  if (ingressBytes === null) await tc(['qdisc', 'del', 'dev', cable, 'root'], 'may fail');
  else await tc(['qdisc', 'replace', 'dev', cable, 'root', ...filter(ingressBytes)]);
  if (egressBytes === null) {
    await removeIfb(devices);
    return;
  }
  await call(['ip', 'link', 'add', ifb, 'type', 'ifb'], 'may fail');
  await call(['ip', 'link', 'set', ifb, 'up']);
  await tc(['qdisc', 'replace', 'dev', ifb, 'root', ...filter(egressBytes)]);
  // Made anew: a kill may have come between the two.
  await tc(['qdisc', 'del', 'dev', cable, 'ingress'], 'may fail');
  await tc(['qdisc', 'add', 'dev', cable, 'ingress']);
  const all = ['protocol', 'all', 'prio', '1', 'u32', 'match', 'u32', '0', '0'];
  const redirect = ['action', 'mirred', 'egress', 'redirect', 'dev', ifb];
  await tc(['filter', 'add', 'dev', cable, 'parent', 'ffff:', ...all, ...redirect]);
}

/** Removes what limits an env's sending; the other limit goes with its cable. */
export async function removeIfb({ cable, ifb }: ShapedDevices): Promise<void> {
  await tc(['qdisc', 'del', 'dev', cable, 'ingress'], 'may fail');
  await call(['ip', 'link', 'del', ifb], 'may fail');
}

const tc = (words: readonly string[], how?: 'may fail'): Promise<void> =>
  call(['tc', ...words], how);

async function call(words: readonly string[], how?: 'may fail'): Promise<void> {
  const ended = await runNetworkTool(words);
  if (ended.code === 0 || how === 'may fail') return;
  const message = `the env's network can't be limited: ${words[0]}: ${complaintOf(ended)}`;
  throw new ByrefError(
    'unsupported',
    message,
    'See byref doctor; or take the limit back: byref set ENV limits.network.egress= limits.network.ingress=',
  );
}
