/** Makes the content of an env's /etc/resolv.conf. */
import { readFileSync } from 'node:fs';

const RESOLVER = '/etc/resolv.conf';
/** The name servers that systemd-resolved itself uses. Its own address works only in the machine's network. */
const UPLINK = '/run/systemd/resolve/resolv.conf';
const STUB = /^nameserver\s+127\.0\.0\.53\s*$/m;
const LOOPBACK = /^nameserver\s+(?:127\.|::1\b)/;
const SERVER = /^nameserver\s/;
const SEARCH = /^(?:search|domain)\s+(.*)$/;

/** Returns the path of the file that names this machine's name servers. */
export const machineResolver = (): string => process.env['BYREF_RESOLVER'] ?? RESOLVER;

/** Returns a resolv.conf with the name servers of this machine; '' if it has none. */
export function resolverText(): string {
  const own = textOf(machineResolver());
  return (STUB.test(own) && textOf(UPLINK)) || own;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/**
 * Returns the resolv.conf of an env on a bridge.
 * @param machine the resolv.conf of the machine
 * @param names where names of envs are asked for, and the domain that they are in; null: nowhere. Then only those of the machine's
 *   name servers are there that can be reached from a bridge
 */
export function bridgeResolver(
  machine: string,
  names: { readonly server: string; readonly domain: string } | null,
): string {
  const lines = machine.split('\n');
  if (names === null) return lines.filter((line) => !LOOPBACK.test(line)).join('\n');
  const search = lines.map((line) => SEARCH.exec(line)?.[1]?.trim() ?? '').filter(Boolean);
  const others = lines.filter(
    (line) => line.trim() !== '' && !/^[#;]/.test(line) && !SERVER.test(line) && !SEARCH.test(line),
  );
  return [
    '# Written by byref when the env is started. Change it, and it is left to you.',
    `nameserver ${names.server}`,
    // The last of several lines counts, as resolv.conf(5) has it.
    `search ${[names.domain, ...search.slice(-1)].join(' ')}`,
    ...others,
    '',
  ].join('\n');
}

/** Returns the same for systemd-resolved, which does not read resolv.conf where that is its own: resolved.conf(5). */
export function resolvedText(resolver: string): string {
  const values = (pattern: RegExp): string =>
    resolver
      .split('\n')
      .flatMap((line) => pattern.exec(line)?.[1]?.trim() ?? [])
      .join(' ');
  return `[Resolve]\nDNS=${values(/^nameserver\s+(.*)$/)}\nDomains=${values(SEARCH)}\n`;
}
