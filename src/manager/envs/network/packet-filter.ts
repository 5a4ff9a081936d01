/**
 * Keeps the rules of the packet filter that a network has as a whole, by iptables(8): its envs reach the world with the machine's address,
 * and are let through where the machine forwards none of others, as with Docker. CNI's plugins have rules for each env instead; of a
 * thousand, that made a start take a second longer, and each packet pass by two thousand rules.
 *
 * Each table has a chain of the network's, and a jump to it. A start looks whether the jumps are there, so what was flushed comes again.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import type { Ended } from '../../../base/run-program.ts';
import { SUBNET } from './bridge.ts';
import { complaintOf, runNetworkTool } from './network-tool.ts';
import { furtherBridges } from './uplink.ts';

/** What a network has in a table of the packet filter. */
interface TableRules {
  readonly table: 'filter' | 'nat' | 'raw';
  /** Where its jump is: the chain, and how it is put there. */
  readonly from: string;
  readonly put: '-I' | '-A';
  /** The rules of its own chain. */
  readonly rules: readonly string[];
}

const MULTICAST = '224.0.0.0/4';

/** Returns the rules of a network. @param first its first bridge @param hasFurther true if it has others, or is to have them */
export function rulesOf(first: string, hasFurther: boolean): TableRules[] {
  const further = furtherBridges(first);
  // DNAT: to a published port.
  const filter: TableRules = {
    table: 'filter',
    from: 'FORWARD',
    put: '-I',
    rules: [
      `-i ${further} -j ACCEPT`,
      `-d ${SUBNET} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT`,
      `-s ${SUBNET} -j ACCEPT`,
    ],
  };
  const nat: TableRules = {
    table: 'nat',
    from: 'POSTROUTING',
    put: '-A',
    rules: [`-s ${SUBNET} -d ${SUBNET} -j RETURN`, `-s ${SUBNET} ! -d ${MULTICAST} -j MASQUERADE`],
  };
  // Where the packet filter sees what is bridged, too (br_netfilter), it would see each packet once more on the further bridge, and give
  // it the machine's address there: then the first bridge drops it, since it comes from outside with an address of this machine.
  const raw: TableRules = {
    table: 'raw',
    from: 'PREROUTING',
    put: '-I',
    rules: [`-i ${further} -j CT --notrack`],
  };
  return hasFurther ? [filter, nat, raw] : [filter, nat];
}

const chainOf = (first: string): string => `BYREF-${first}`;

/**
 * Makes those of the rules that are not there. Two at once would make some twice: the caller has a lock, or asks missingRules() first.
 * @param file where the rules are written for a moment
 * @throws ByrefError 'unsupported' with what iptables says
 */
export async function makeRules(first: string, hasFurther: boolean, file: string): Promise<void> {
  const missing = await missingRules(first, hasFurther);
  if (missing.length === 0) return;
  writeFileSync(file, missing.map((each) => restoreText(first, each)).join(''));
  // Each table changes as a whole, so a kill leaves a chain with its jump, or neither.
  // The file first: what follows --wait may be taken for its seconds.
  const ended = await runNetworkTool(['iptables-restore', file, '--noflush', '--wait']);
  rmSync(file, { force: true });
  failpoint('rules-made');
  if (ended.code !== 0) throw failed(ended);
}

/** Returns the rules of tables in which there is no jump to them. */
export async function missingRules(first: string, hasFurther: boolean): Promise<TableRules[]> {
  const tables = rulesOf(first, hasFurther);
  const found = await Promise.all(
    tables.map(({ table, from }) => iptables(table, '-C', from, '-j', chainOf(first))),
  );
  return tables.filter((_, i) => found[i]!.code !== 0);
}

/** Returns what iptables-restore(8) is given; a chain that is there already is emptied by that. */
function restoreText(first: string, { table, from, put, rules }: TableRules): string {
  const chain = chainOf(first);
  const lines = [
    `*${table}`,
    `:${chain} - [0:0]`,
    ...rules.map((rule) => `-A ${chain} ${rule}`),
    `${put} ${from} -j ${chain}`,
    'COMMIT',
    '',
  ];
  return lines.join('\n');
}

/** Removes the rules; what is not there is no error. */
export async function removeRules(first: string): Promise<void> {
  const chain = chainOf(first);
  await Promise.all(
    rulesOf(first, true).map(async ({ table, from }) => {
      await iptables(table, '-D', from, '-j', chain);
      await iptables(table, '-F', chain);
      await iptables(table, '-X', chain);
    }),
  );
}

const iptables = (table: string, ...words: readonly string[]): Promise<Ended> =>
  runNetworkTool(['iptables', '--wait', '-t', table, ...words]);

function failed(ended: Ended): ByrefError {
  const isMissing = ended.notStarted === 'ENOENT';
  const said = isMissing ? 'iptables is not installed' : complaintOf(ended);
  const message = `the packet filter's rules for envs could not be made: ${said}`;
  const hint = isMissing
    ? 'Install it: apt-get install iptables. Or do without a network: byref set ENV network=none.'
    : 'See byref doctor; or do without a network: byref set ENV network=none.';
  return new ByrefError('unsupported', message, hint);
}
