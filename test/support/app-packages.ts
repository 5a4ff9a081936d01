import type { DebDescription } from './deb.ts';

/** Small packages that between them do what packages do to a system. */

const greeting = (version: string, body: string): DebDescription => ({
  name: 'greeter',
  version,
  arch: 'all',
  depends: ['greeter-data (>= 1.0)'],
  files: {
    '/usr/bin/greet': `#!/bin/sh\n${body}\n`,
    '/usr/share/doc/greeter/changelog': `greeter ${version}\n`,
  },
});

const SAY = 'read -r words </usr/share/greeter/words';

/** `greet` prints `hello, world (VERSION)`. Needs greeter-data. */
export const greeter = {
  '1.0': greeting('1.0', `${SAY}\necho "$words (1.0)"`),
  '1.1': greeting('1.1', `${SAY}\necho "$words (1.1)"`),
  /** Installs well, but its program fails. */
  '1.2': greeting('1.2', 'echo "greet: out of words" >&2\nexit 1'),
};

export const greeterData: DebDescription = {
  name: 'greeter-data',
  version: '1.0',
  arch: 'all',
  files: { '/usr/share/greeter/words': 'hello, world\n' },
};

/** Has the same program as greeter, and can't be beside it. */
export const shouter: DebDescription = {
  name: 'shouter',
  version: '1.0',
  arch: 'all',
  conflicts: ['greeter'],
  files: { '/usr/bin/greet': '#!/bin/sh\necho HELLO, WORLD\n' },
};

/** Puts its own in place of a program of the system, which stays as whoami.real. */
export const diverter: DebDescription = {
  name: 'diverter',
  version: '1.0',
  arch: 'all',
  files: { '/usr/bin/whoami': '#!/bin/sh\necho "diverted $(whoami.real)"\n' },
  scripts: {
    preinst: `
[ "$1" = upgrade ] ||
  dpkg-divert --package diverter --add --rename --divert /usr/bin/whoami.real /usr/bin/whoami`,
    postrm: `
[ "$1" = upgrade ] ||
  dpkg-divert --package diverter --remove --rename --divert /usr/bin/whoami.real /usr/bin/whoami`,
  },
};

/** Three names of one file, a link, and a program that runs as root whoever starts it. */
export const linked: DebDescription = {
  name: 'linked',
  version: '1.0',
  files: {
    '/usr/bin/linked': '#!/bin/sh\necho "linked as $(basename "$0")"\n',
    '/usr/bin/linked-again': { hardLink: '/usr/bin/linked' },
    '/usr/lib/linked/elsewhere': { hardLink: '/usr/bin/linked' },
    '/usr/bin/linked-softly': { symlink: 'linked' },
    '/usr/bin/id-as-root': { copy: '/usr/bin/id', mode: 0o4755 },
  },
};

const adds = (name: string): DebDescription => ({
  name,
  version: '1.0',
  arch: 'all',
  files: { [`/var/lib/${name}`]: { directory: 0o750 } },
  scripts: {
    postinst: `
getent group ${name} >/dev/null || groupadd --system ${name}
getent passwd ${name} >/dev/null ||
  useradd --system --gid ${name} --home-dir /var/lib/${name} --no-create-home --shell /usr/sbin/nologin ${name}
chown ${name}:${name} /var/lib/${name}`,
    postrm: `
[ "$1" != purge ] || ! getent passwd ${name} >/dev/null || userdel ${name}`,
  },
});

/**
 * Each adds a system user and group of its name, and a directory that is theirs. On the same system,
 * each takes the same ids if it comes first.
 */
export const userful = adds('userful');
export const userful2 = adds('userful2');

const configured = (version: string, setting: string): DebDescription => ({
  name: 'configful',
  version,
  arch: 'all',
  files: {
    '/etc/configful/configful.conf': `# of configful ${version}\nsetting=${setting}\n`,
    '/usr/bin/configful': '#!/bin/sh\n. /etc/configful/configful.conf\necho "$setting"\n',
  },
  conffiles: ['/etc/configful/configful.conf'],
});

/** `configful` prints its setting, which 1.1 changes. */
export const configful = { '1.0': configured('1.0', 'one'), '1.1': configured('1.1', 'two') };

const alternative = (name: string, priority: number): DebDescription => ({
  name,
  version: '1.0',
  arch: 'all',
  files: { [`/usr/bin/${name}`]: `#!/bin/sh\necho ${name}\n` },
  scripts: {
    postinst: `update-alternatives --install /usr/bin/alternative alternative /usr/bin/${name} ${priority}`,
    prerm: `[ "$1" = upgrade ] || update-alternatives --remove alternative /usr/bin/${name}`,
  },
});

/** Both offer `alternative`; b's is preferred. */
export const alternativeA = alternative('alternative-a', 10);
export const alternativeB = alternative('alternative-b', 20);

const stateful = (version: string): DebDescription => ({
  name: 'stateful',
  version,
  arch: 'all',
  files: {
    '/usr/share/stateful/version': `${version}\n`,
    '/var/lib/stateful': { directory: 0o755 },
    '/var/lib/stateful/shipped': `${version}\n`,
  },
  scripts: {
    postinst: `
getent passwd stateful >/dev/null || useradd --system --user-group --no-create-home stateful
data=/var/lib/stateful/${version}
[ -e $data ] || { mkdir $data; head -c 16 /dev/urandom | od -An -tx1 >$data/id; echo 1 >$data/log; chown -R stateful: $data; }
date +%s%N >/var/lib/stateful/cache`,
  },
});

/** Makes data of its own in a directory named by its version, with what is never the same twice, and a cache of root's. */
export const statefulApp = { '1.0': stateful('1.0'), '1.1': stateful('1.1') };

/** Depends on what no repository has. */
export const unresolvable: DebDescription = {
  name: 'unresolvable',
  version: '1.0',
  arch: 'all',
  depends: ['greeter-data', 'not-to-be-had (>= 2.0)'],
  files: { '/usr/share/unresolvable/file': 'never seen\n' },
};

/** Its files are unpacked; then its postinst fails. */
export const failing: DebDescription = {
  name: 'failing',
  version: '1.0',
  arch: 'all',
  files: { '/usr/share/failing/file': 'unpacked\n' },
  scripts: { postinst: 'echo "failing: postinst fails" >&2\nexit 1' },
};

/** One version of each, and of greeter the first: what a test's repository begins with. */
export const appPackages: readonly DebDescription[] = [
  greeter['1.0'],
  greeterData,
  shouter,
  diverter,
  linked,
  userful,
  userful2,
  configful['1.0'],
  alternativeA,
  alternativeB,
  unresolvable,
  failing,
];
