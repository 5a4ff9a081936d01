/**
 * Keeps all packets from and to an env, so that the other ends of its connections get no answer, neither "I have it" nor "there is no such
 * connection", while its processes are put into files, or made of those again: they send again later.
 *
 * A shell has the lock, and gives it up when its input ends: when the command says so, or is killed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ByrefError } from '../../../base/error.ts';
import { runNetworkTool, SEARCHED } from '../network/network-tool.ts';

/** $1 is the env's network namespace. IPv6 may be missing, and eth0 not be there yet. */
const RULES = `
  rules() {
    set -- "--net=$1" "$(printf '%s\\n' '*filter' "$2 INPUT -j DROP" "$2 OUTPUT -j DROP" COMMIT)"
    echo "$2" | nsenter "$1" ip6tables-restore --noflush --wait 2>/dev/null &
    echo "$2" | nsenter "$1" iptables-restore --noflush --wait
    set -- $?
    wait
    return "$1"
  }
  arp() { nsenter "--net=$1" ip link set eth0 arp "$2" 2>/dev/null || :; }
  unlock() { arp "$1" on; rules "$1" -D 2>/dev/null; }`;
/** A line of input says that the lock stays. */
const HOLDER = `${RULES}
  trap '' HUP INT TERM PIPE
  rules "$1" -I 2>&1 && arp "$1" off && echo locked
  if read -r word; then echo; exit; fi
  unlock "$1"
  exit 0`;

/** A network that is locked. */
export interface NetworkLock {
  release(): Promise<void>;
  /** Leaves it locked beyond the end of this process, until unlockNetwork(). Then release() does nothing. */
  stay(): Promise<void>;
}

/** Unlocks the network of an env that was left locked. */
export async function unlockNetwork(namespace: string): Promise<void> {
  await runNetworkTool(['sh', '-c', `${RULES}\nunlock "$1"`, 'byref-network-unlock', namespace]);
}

/** Locks the network of an env. @param namespace the path of its network namespace @throws ByrefError 'unsupported' */
export async function lockNetwork(namespace: string): Promise<NetworkLock> {
  const child = spawn('sh', ['-c', HOLDER, 'byref-network-lock', namespace], {
    ...{ cwd: '/', detached: true, env: { PATH: SEARCHED }, stdio: ['pipe', 'pipe', 'ignore'] },
  });
  const ended = once(child, 'exit');
  const release = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: said = '' } = (await lines.next()) as IteratorResult<string, undefined>;
  const stay = async (): Promise<void> => {
    child.stdin.write('stay\n');
    await lines.next();
  };
  if (said === 'locked') return { release, stay };
  await release();
  const message = `the network of the env can't be locked: ${said || 'iptables failed'}`;
  throw new ByrefError('unsupported', message, 'Install iptables: apt-get install iptables.');
}

/** Makes a network namespace that is new what a runtime makes of one. @param namespace its path */
export async function bringLoopbackUp(namespace: string): Promise<void> {
  await runNetworkTool(['nsenter', `--net=${namespace}`, 'ip', 'link', 'set', 'lo', 'up']);
}
