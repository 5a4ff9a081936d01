/** What tells one machine from another, in the files that programs look for it: each env has its own. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Linux keeps no longer one. */
const HOSTNAME_MAX = 64;

/** An env's name as a host name: what can't be in one becomes a hyphen. */
export function hostnameOf(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9.-]+/g, '-').slice(0, HOSTNAME_MAX);
  return plain.replace(/^[.-]+|[.-]+$/g, '') || 'localhost';
}

const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

export const isHostname = (text: string): boolean =>
  text.length <= HOSTNAME_MAX && text.split('.').every((label) => LABEL.test(label));

const HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;
/** Where Debian has a host's own name that has no address for good. */
const OWN_ADDRESS = '127.0.1.1';

/** @param before /etc/hosts of the templates; '' if there is none @returns it, with the env's own name */
export function hostsText(before: string, hostname: string): string {
  const [short = ''] = hostname.split('.');
  const names = short === hostname ? hostname : `${hostname} ${short}`;
  const own = `${OWN_ADDRESS}\t${names}`;
  const lines = (before === '' ? HOSTS : before)
    .split('\n')
    .filter((line) => line.trim().split(/\s+/)[0] !== OWN_ADDRESS);
  const at = lines.findIndex((line) => /^127\.0\.0\.1\s/.test(line.trim()));
  lines.splice(at + 1, 0, own);
  return lines.join('\n');
}

/** As in machine-id(5). */
export function machineIdText(): string {
  const bytes = randomBytes(16);
  // A random UUID, as systemd makes it.
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return `${bytes.toString('hex')}\n`;
}

const RESOLVER = '/etc/resolv.conf';
/** What systemd-resolved asks itself: its own address works in the machine's network only. */
const UPLINK = '/run/systemd/resolve/resolv.conf';
const STUB = /^nameserver\s+127\.0\.0\.53\s*$/m;

/** The name servers of this machine; '' if it has none. */
export function resolverText(): string {
  const own = textOf(RESOLVER);
  return (STUB.test(own) && textOf(UPLINK)) || own;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
