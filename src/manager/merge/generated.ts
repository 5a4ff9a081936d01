/** Files that a command generates from others: in a composed tree they are generated again, not merged. */
import { matchesPath } from '../../base/path-patterns.ts';

/** A command, and the files that it reads and writes. */
export interface GeneratedFiles {
  readonly name: string;
  /** Patterns (src/base/path-patterns.ts) of the files that it reads: when one changed, the command is run. */
  readonly inputs: readonly string[];
  /** Patterns of the files that it writes, except backups and locks. A registry file may be among them. */
  readonly outputs: readonly string[];
  /** A command for sh, run as root in the tree. It asks nothing, and its output depends only on its inputs. */
  readonly command: string;
  /** A pattern of the program's path: where it is not installed, there is nothing to do. */
  readonly needs: string;
}

/** Returns a command that runs a program for each architecture that has it. */
const eachOf = (pattern: string, run: string): string =>
  `set -e; for program in ${pattern}; do ${run}; done`;

const GLIB = '/usr/lib/*/glib-2.0';
const PIXBUF = '/usr/lib/*/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders';
const GTK3 = '/usr/lib/*/libgtk-3-0*/gtk-query-immodules-3.0';

/** Everything but packages/, from which it is generated. Some are files; some are directories for a media type. */
const MIME_OUTPUTS = [
  ...['XMLnamespaces', 'aliases', 'generic-icons', 'globs*', 'icons', 'magic', 'mime.cache'],
  ...['subclasses', 'treemagic', 'types', 'version'],
  ...['all', 'application', 'audio', 'chemical', 'font', 'image', 'inode', 'message', 'model'],
  ...['multipart', 'print', 'text', 'uri', 'video', 'x-*', 'interface'],
];

/** All such commands, in the order in which they are run: a later one may read what an earlier one wrote. */
export const GENERATED: readonly GeneratedFiles[] = [
  {
    name: 'ldconfig',
    inputs: [
      '/etc/ld.so.conf',
      '/etc/ld.so.conf.d',
      '/usr/lib/*.so*',
      '/usr/lib/*/*.so*',
      '/usr/local/lib/*.so*',
      '/usr/local/lib/*/*.so*',
    ],
    outputs: ['/etc/ld.so.cache'],
    // Writes only the cache: the links to libraries belong to the packages.
    command: 'ldconfig -X',
    needs: '/usr/sbin/ldconfig',
  },
  {
    name: 'pam-auth-update',
    inputs: ['/usr/share/pam-configs'],
    outputs: [
      '/etc/pam.d/common-*',
      '/var/lib/pam',
      '/var/cache/debconf/config.dat',
      '/var/cache/debconf/templates.dat',
    ],
    command: 'DEBIAN_FRONTEND=noninteractive pam-auth-update --package',
    needs: '/usr/sbin/pam-auth-update',
  },
  {
    name: 'locale-gen',
    inputs: ['/etc/locale.gen'],
    outputs: ['/usr/lib/locale/locale-archive'],
    command: 'locale-gen',
    needs: '/usr/sbin/locale-gen',
  },
  {
    name: 'update-ca-certificates',
    inputs: [
      '/etc/ca-certificates.conf',
      '/etc/ca-certificates',
      '/usr/share/ca-certificates',
      '/usr/local/share/ca-certificates',
    ],
    // A hook makes Java's key store through a trigger of dpkg, which then writes its status again.
    outputs: ['/etc/ssl/certs', '/var/lib/ca-certificates-java', '/var/lib/dpkg/status'],
    command: 'update-ca-certificates',
    needs: '/usr/sbin/update-ca-certificates',
  },
  {
    name: 'info directory',
    inputs: ['/usr/share/info'],
    outputs: ['/usr/share/info/dir'],
    command: 'update-info-dir',
    needs: '/usr/sbin/update-info-dir',
  },
  {
    name: 'SGML catalog',
    inputs: ['/etc/sgml/*.cat'],
    outputs: ['/var/lib/sgml-base/supercatalog'],
    command: 'update-catalog --update-super',
    needs: '/usr/sbin/update-catalog',
  },
  {
    name: 'dictionaries',
    inputs: ['/var/lib/dictionaries-common'],
    outputs: [
      '/etc/dictionaries-common',
      '/var/cache/dictionaries-common',
      '/var/lib/aspell',
      '/var/cache/debconf/config.dat',
    ],
    command: [
      'update-dictcommon-aspell',
      'update-default-ispell --triggered',
      'update-default-wordlist --triggered',
    ].join(' && '),
    needs: '/usr/sbin/update-default-wordlist',
  },
  {
    name: 'systemd catalog',
    inputs: ['/usr/lib/systemd/catalog'],
    outputs: ['/var/lib/systemd/catalog/database'],
    command: 'journalctl --update-catalog',
    needs: '/usr/bin/journalctl',
  },
  {
    name: 'hardware database',
    inputs: ['/usr/lib/udev/hwdb.d', '/etc/udev/hwdb.d'],
    outputs: ['/usr/lib/udev/hwdb.bin'],
    command: 'systemd-hwdb --usr update',
    needs: '/usr/bin/systemd-hwdb',
  },
  {
    name: 'MIME types',
    inputs: ['/usr/share/mime/packages'],
    outputs: MIME_OUTPUTS.map((name) => `/usr/share/mime/${name}`),
    command: 'update-mime-database /usr/share/mime',
    needs: '/usr/bin/update-mime-database',
  },
  {
    name: 'desktop entries',
    inputs: ['/usr/share/applications'],
    outputs: ['/usr/share/applications/mimeinfo.cache'],
    command: 'update-desktop-database -q',
    needs: '/usr/bin/update-desktop-database',
  },
  {
    name: 'GSettings schemas',
    inputs: ['/usr/share/glib-2.0/schemas/*.xml', '/usr/share/glib-2.0/schemas/*.override'],
    outputs: ['/usr/share/glib-2.0/schemas/gschemas.compiled'],
    command: eachOf(`${GLIB}/glib-compile-schemas`, '"$program" /usr/share/glib-2.0/schemas'),
    needs: `${GLIB}/glib-compile-schemas`,
  },
  {
    name: 'GIO modules',
    inputs: ['/usr/lib/*/gio/modules/*.so'],
    outputs: ['/usr/lib/*/gio/modules/giomodule.cache'],
    command: eachOf(
      `${GLIB}/gio-querymodules`,
      '"$program" "$(dirname "$program")/../gio/modules"',
    ),
    needs: `${GLIB}/gio-querymodules`,
  },
  {
    name: 'image loaders',
    inputs: ['/usr/lib/*/gdk-pixbuf-2.0/*/loaders'],
    outputs: ['/usr/lib/*/gdk-pixbuf-2.0/*/loaders.cache'],
    command: eachOf(PIXBUF, '"$program" --update-cache'),
    needs: PIXBUF,
  },
  {
    name: 'GTK input methods',
    inputs: ['/usr/lib/*/gtk-3.0/*/immodules'],
    outputs: ['/usr/lib/*/gtk-3.0/*/immodules.cache'],
    command: eachOf(GTK3, '"$program" --update-cache'),
    needs: GTK3,
  },
  {
    name: 'icons',
    inputs: ['/usr/share/icons'],
    outputs: ['/usr/share/icons/*/icon-theme.cache'],
    command: 'update-icon-caches /usr/share/icons/*',
    needs: '/usr/sbin/update-icon-caches',
  },
  {
    name: 'fonts',
    inputs: ['/usr/share/fonts', '/usr/local/share/fonts', '/etc/fonts'],
    outputs: ['/var/cache/fontconfig'],
    command: 'fc-cache -s -f',
    needs: '/usr/bin/fc-cache',
  },
];

const MATCHERS = GENERATED.map((files) => ({
  files,
  isOutput: matchesPath(files.outputs),
  isInput: matchesPath(files.inputs),
}));

/** Returns the commands to run when this path has changed. A command's own output does not count as its input. */
export function generatedFrom(path: string): GeneratedFiles[] {
  const due = MATCHERS.filter(({ isInput, isOutput }) => isInput(path) && !isOutput(path));
  return due.map(({ files }) => files);
}

/** Returns the command that writes this path; null if none does. */
export function generatedBy(path: string): string | null {
  return MATCHERS.find(({ isOutput }) => isOutput(path))?.files.command ?? null;
}

/** Returns true if a command may write this path. */
export function isGenerated(path: string): boolean {
  return MATCHERS.some(({ isOutput }) => isOutput(path));
}
