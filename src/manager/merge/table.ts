/**
 * Lists the files that are merged by key, and how; this is the one place to add another. docs/internals/MERGE.md says
 * how to find files that are missing here. Paths are those of a tree whose /bin, /sbin and /lib are links into
 * /usr.
 */
import { ALTERNATIVES } from './alternatives.ts';
import { GROUP, GSHADOW, PASSWD, SHADOW, SUBIDS } from './colon.ts';
import { DEBCONF } from './debconf.ts';
import { DIVERSIONS, DPKG_STATUS, EXTENDED_STATES, STATOVERRIDE } from './dpkg.ts';
import type { KeyedFormat } from './format.ts';
import { CA_CERTIFICATES, LOCALE_GEN, NSSWITCH, UCF, XML_CATALOG } from './keyed-lines.ts';
import { LINE_SET } from './lines.ts';
import { STATUS_PATH } from './packages.ts';

/** Patterns and formats. `*` stands for any part of the last component. The first pattern that matches decides. */
const TABLE: readonly (readonly [pattern: string, format: KeyedFormat])[] = [
  // Accounts.
  ['/etc/passwd', PASSWD],
  ['/etc/shadow', SHADOW],
  ['/etc/group', GROUP],
  ['/etc/gshadow', GSHADOW],
  ['/etc/subuid', SUBIDS],
  ['/etc/subgid', SUBIDS],
  // Packages.
  [STATUS_PATH, DPKG_STATUS],
  ['/var/lib/dpkg/available', DPKG_STATUS],
  ['/var/lib/dpkg/diversions', DIVERSIONS],
  ['/var/lib/dpkg/statoverride', STATOVERRIDE],
  ['/var/lib/dpkg/arch', LINE_SET],
  ['/var/lib/dpkg/info/*.list', LINE_SET],
  ['/var/lib/dpkg/triggers/*', LINE_SET],
  ['/var/lib/dpkg/alternatives/*', ALTERNATIVES],
  ['/var/lib/apt/extended_states', EXTENDED_STATES],
  ['/var/cache/debconf/config.dat', DEBCONF],
  ['/var/cache/debconf/passwords.dat', DEBCONF],
  ['/var/cache/debconf/templates.dat', DEBCONF],
  ['/var/lib/ucf/hashfile', UCF],
  ['/var/lib/ucf/registry', UCF],
  // What packages register themselves in.
  ['/etc/shells', LINE_SET],
  ['/var/lib/shells.state', LINE_SET],
  ['/etc/nsswitch.conf', NSSWITCH],
  ['/etc/locale.gen', LOCALE_GEN],
  ['/etc/ca-certificates.conf', CA_CERTIFICATES],
  ['/etc/xml/*.xml', XML_CATALOG],
  ['/etc/xml/catalog', XML_CATALOG],
  ['/var/lib/xml-core/*', LINE_SET],
  ['/var/lib/pam/seen', LINE_SET],
  ['/var/lib/systemd/deb-systemd-helper-enabled/*.dsh-also', LINE_SET],
];

/** The exact paths, and the patterns in which `*` stands for any part of the last component. */
export const REGISTRY_PATHS: readonly string[] = TABLE.map(([pattern]) => pattern);

const EXACT = new Map(TABLE.filter(([pattern]) => !pattern.includes('*')));
const PATTERNS = TABLE.filter(([pattern]) => pattern.includes('*')).map(([pattern, format]) => {
  const [before = '', after = ''] = pattern.split('*');
  return { before, after, format };
});

/** Returns how a file is merged; null if it is not a registry file. @param path absolute, a binary string */
export function registryFormat(path: string): KeyedFormat | null {
  const exact = EXACT.get(path);
  if (exact) return exact;
  const found = PATTERNS.find(
    ({ before, after }) =>
      path.startsWith(before) &&
      path.endsWith(after) &&
      path.length > before.length + after.length &&
      !path.includes('/', before.length),
  );
  return found?.format ?? null;
}
