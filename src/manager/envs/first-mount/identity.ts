/** Makes what tells one machine from another, in the files where programs look for it. Each env has its own. */
import { randomBytes } from 'node:crypto';

/** The longest host name that Linux keeps. */
const HOSTNAME_MAX = 64;

/** Turns an env's name into a host name: characters that can't be in one become hyphens. */
export function hostnameOf(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9.-]+/g, '-').slice(0, HOSTNAME_MAX);
  return plain.replace(/^[.-]+|[.-]+$/g, '') || 'localhost';
}

const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** True for a text that Linux takes as a host name. */
export const isHostname = (text: string): boolean =>
  text.length <= HOSTNAME_MAX && text.split('.').every((label) => LABEL.test(label));

const HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;
/** The address under which Debian lists a host's own name if the host has no permanent address. */
export const OWN_ADDRESS = '127.0.1.1';

/** Returns the line of /etc/hosts with a host's own name. */
export function ownLine(address: string, hostname: string): string {
  const [short = ''] = hostname.split('.');
  return `${address}\t${short === hostname ? hostname : `${hostname} ${short}`}`;
}

/**
 * Returns the content of a template's /etc/hosts with the env's own name in it.
 * @param before /etc/hosts of the templates; '' if there is none
 * @param own the line with the name
 */
export function hostsText(before: string, own: string): string {
  const lines = (before === '' ? HOSTS : before)
    .split('\n')
    .filter((line) => line.trim().split(/\s+/)[0] !== OWN_ADDRESS);
  const at = lines.findIndex((line) => /^127\.0\.0\.1\s/.test(line.trim()));
  lines.splice(at + 1, 0, own);
  return lines.join('\n');
}

/** Makes the content of /etc/machine-id, as machine-id(5) describes it. */
export function machineIdText(): string {
  const bytes = randomBytes(16);
  // A random UUID, like those that systemd makes.
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return `${bytes.toString('hex')}\n`;
}
