import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BACKINGS, type BackingKind } from './backing.ts';
import { PEER_NAMES } from './peers/index.ts';
import { STUDIES } from './studies/index.ts';
import { WORKLOADS } from './workloads/index.ts';

export interface Options {
  readonly quick: boolean;
  readonly backings: readonly BackingKind[];
  readonly peers: readonly string[];
  /** Names of workloads and studies. */
  readonly only: readonly string[] | undefined;
  readonly rounds: number | undefined;
  /** Where results go; unset: nowhere but the terminal. */
  readonly out: string | undefined;
}

const FULL_PEERS = PEER_NAMES.filter((name) => name !== 'byref-no-passthrough');
const QUICK_PEERS = ['plain', 'byref', 'floor'];
const NAMES = [...WORKLOADS, ...STUDIES].map((each) => each.name);

export const USAGE = `usage: npm run bench -- [options]
  --quick            RAM backing, 3 rounds, ${QUICK_PEERS.join(' ')}, no studies; writes no files
  --only NAME,...    these rows and studies only
  --peers NAME,...   of ${PEER_NAMES.join(' ')}
  --backing KIND,... of ${BACKINGS.join(' ')}
  --rounds N         rounds that count, for every row
  --out DIR          where results.json and results.md go (default bench/results)
  --help

rows and studies: ${NAMES.join(' ')}`;

/** Throws an Error with a sentence for what can't be. */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      peers: { type: 'string' },
      backing: { type: 'string' },
      rounds: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick } = values;
  const only = listOf('only', values.only, NAMES);
  return {
    quick,
    backings: listOf('backing', values.backing, BACKINGS) ?? (quick ? ['ram'] : BACKINGS),
    peers: listOf('peers', values.peers, PEER_NAMES) ?? (quick ? QUICK_PEERS : FULL_PEERS),
    only,
    rounds: values.rounds === undefined ? (quick ? 3 : undefined) : countOf(values.rounds),
    out: values.out ?? (quick || only ? undefined : join(import.meta.dirname, 'results')),
  };
}

function listOf<T extends string>(
  option: string,
  text: string | undefined,
  known: readonly T[],
): T[] | undefined {
  return text?.split(',').map((name) => {
    const found = known.find((each) => each === name);
    if (!found) throw new Error(`--${option}: no ${name}; there is ${known.join(' ')}`);
    return found;
  });
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--rounds: not a count: ${text}`);
  return count;
}
