/**
 * Keeps all packets from and to an env, so that the other ends of its connections get no answer, neither "I have it" nor "there is no such
 * connection", while its processes are put into files, or made of those again: they send again later.
 *
 * A shell has the lock, and gives it up when its input ends: when the command says so, or is killed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ByrefError } from '../../../base/error.ts';
import { SEARCHED } from '../network/network-tool.ts';

/** $1 is the env's network namespace. IPv6 may be missing, and eth0 not be there yet. */
const HOLDER = `
  trap '' HUP INT TERM PIPE
  rules() {
    for chain in INPUT OUTPUT; do
      nsenter "--net=$1" iptables --wait "$2" "$chain" -j DROP || return
      nsenter "--net=$1" ip6tables --wait "$2" "$chain" -j DROP 2>/dev/null || :
    done
  }
  arp() { nsenter "--net=$1" ip link set eth0 arp "$2" 2>/dev/null || :; }
  rules "$1" -I 2>&1 && arp "$1" off && echo locked
  read -r end
  arp "$1" on
  rules "$1" -D 2>/dev/null
  exit 0`;

/** A network that is locked. */
export interface NetworkLock {
  release(): Promise<void>;
}

/** Locks the network of an env. @param namespace the path of its network namespace @throws ByrefError 'unsupported' */
export async function lockNetwork(namespace: string): Promise<NetworkLock> {
  const child = spawn('sh', ['-c', HOLDER, 'byref-network-lock', namespace], {
    ...{ cwd: '/', detached: true, env: { PATH: SEARCHED }, stdio: ['pipe', 'pipe', 'ignore'] },
  });
  const ended = once(child, 'close');
  const release = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  let said = '';
  for await (const piece of child.stdout) {
    said += String(piece);
    if (said.includes('\n')) break;
  }
  if (said.trim() === 'locked') return { release };
  await release();
  const message = `the network of the env can't be locked: ${said.trim() || 'iptables failed'}`;
  throw new ByrefError('unsupported', message, 'Install iptables: apt-get install iptables.');
}
