/**
 * Names of envs in their network: NAME and NAME.byref lead to the address of a running env, for envs on the same bridge. A dnsmasq for
 * each bridge answers, and asks the machine's name servers for all else.
 *
 *     names/BRIDGE.NAMESPACE/    in the run directory of the machine: 0755, since dnsmasq is a user of its own
 *         hosts    the addresses and names, as hosts(5)
 *         pid      of the dnsmasq
 *
 * All of it follows from the notes of envs that are connected: it is made anew from them whenever one comes or goes, so a command
 * that is killed leaves nothing that the next one does not put right.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { failpoint } from '../../../base/failpoints.ts';
import { procText } from '../../../base/proc.ts';
import { withLock } from '../../../store/with-lock.ts';
import { type BridgePlace, directoryName, ownNamespace } from './bridge-place.ts';
import { complaintOf, runNetworkTool } from './network-tool.ts';
import { machineResolver } from './resolver.ts';

/** The domain of envs. Nothing of it is asked for outside. */
export const DOMAIN = 'byref';

/** A name, and where it leads. */
export interface NamedAddress {
  readonly name: string;
  readonly address: string;
}

const DNSMASQ = 'dnsmasq';
const START_MS = 10_000;
const END_MS = 2000;
const POLL_MS = 5;
const LOCAL = /^(?:localhost|local|byref)$/;

/** Returns the name in the network of an env, as one label; null if it can't have any. */
export function labelOf(env: string): string | null {
  const plain = env.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
  const label = plain.replace(/^-+|-+$/g, '');
  return label === '' || LOCAL.test(label) ? null : label;
}

/**
 * Makes the names known, and starts dnsmasq if it is not there; ends it when there are none.
 * @param machine the run directory of the machine
 * @param list returns the names at the time; the first of two that are the same counts
 * @param listen the address of the bridge; null: only a dnsmasq that is there is told
 * @returns why names are not known, as a part of a sentence; null if they are
 */
export function publishNames(
  machine: string,
  place: BridgePlace,
  list: () => readonly NamedAddress[],
  listen: string | null,
): Promise<string | null> {
  return withLock(path.join(machine, 'names.lock'), 'file', () =>
    publish(directoryOf(machine, place), place, list(), listen),
  );
}

const directoryOf = (machine: string, place: BridgePlace): string =>
  path.join(machine, 'names', directoryName(place));

async function publish(
  directory: string,
  place: BridgePlace,
  names: readonly NamedAddress[],
  listen: string | null,
): Promise<string | null> {
  const server = serverIn(directory);
  if (names.length === 0) {
    if (server !== null) await end(directory, server);
    rmSync(directory, { recursive: true, force: true });
    return null;
  }
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const hosts = path.join(directory, 'hosts');
  writeFileSync(`${hosts}.new`, hostsOf(names), { mode: 0o644 });
  renameSync(`${hosts}.new`, hosts);
  failpoint('names-written');
  if (server !== null) {
    send(server, 'SIGHUP');
    return null;
  }
  return listen === null || place.namespace !== ownNamespace()
    ? null
    : start(directory, hosts, listen);
}

/** Returns the content of the file of hosts. */
export function hostsOf(names: readonly NamedAddress[]): string {
  const first = new Map<string, string>();
  for (const { name, address } of names) if (!first.has(name)) first.set(name, address);
  return [...first].map(([name, address]) => `${address} ${name}.${DOMAIN} ${name}\n`).join('');
}

const optionOf = (directory: string): string => `--pid-file=${path.join(directory, 'pid')}`;

/** Returns the pid of the dnsmasq of a directory; null if it does not run. */
function serverIn(directory: string): number | null {
  const pid = Number.parseInt(textOf(path.join(directory, 'pid')), 10);
  if (!Number.isSafeInteger(pid)) return null;
  // The pid may be another process's by now.
  const words = procText(`/proc/${pid}/cmdline`).split('\0');
  return words.includes(optionOf(directory)) ? pid : null;
}

async function start(directory: string, hosts: string, listen: string): Promise<string | null> {
  const words = [
    DNSMASQ,
    '--conf-file=/dev/null',
    optionOf(directory),
    // Beside others: only on this address.
    '--bind-interfaces',
    `--listen-address=${listen}`,
    '--no-hosts',
    `--addn-hosts=${hosts}`,
    `--local=/${DOMAIN}/`,
    // A name without a dot is one of an env, or of nobody.
    '--domain-needed',
    `--resolv-file=${machineResolver()}`,
  ];
  const ended = await runNetworkTool(words, START_MS);
  if (ended.code === 0) return null;
  if (ended.notStarted === 'ENOENT')
    return 'dnsmasq is not installed (apt-get install dnsmasq-base)';
  return complaintOf(ended, `dnsmasq: ${ended.how}`);
}

async function end(directory: string, pid: number): Promise<void> {
  send(pid, 'SIGTERM');
  const last = performance.now() + END_MS;
  while (serverIn(directory) === pid) {
    if (performance.now() > last) send(pid, 'SIGKILL');
    await sleep(POLL_MS);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended just now.
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
