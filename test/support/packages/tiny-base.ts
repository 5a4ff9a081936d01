import type { DebDescription, DebFile } from './deb.ts';

/** Mode of each directory that no other package of the tiny system has, or has with another mode. */
const DIRECTORIES: Record<string, number> = {
  '/boot': 0o755,
  '/dev': 0o755,
  '/etc/skel': 0o755,
  '/home': 0o755,
  '/mnt': 0o755,
  '/opt': 0o755,
  '/proc': 0o755,
  '/root': 0o700,
  '/run': 0o755,
  '/srv': 0o755,
  '/sys': 0o755,
  '/tmp': 0o1777,
  '/usr/local/bin': 0o755,
  '/usr/local/lib': 0o755,
  '/usr/local/sbin': 0o755,
  '/var/cache': 0o755,
  '/var/lib': 0o755,
  '/var/log': 0o755,
  '/var/mail': 0o755,
  '/var/tmp': 0o1777,
};

/** Directories of old, as in every Debian since 12; all other packages put their files below /usr. */
const MERGED = ['bin', 'lib', 'lib64', 'sbin'];

const ETC: Record<string, string> = {
  '/etc/debian_version': 'tiny\n',
  '/etc/host.conf': 'multi on\n',
  '/etc/nsswitch.conf': `passwd: files
group: files
shadow: files
gshadow: files
hosts: files dns
`,
  '/etc/profile': 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
  '/etc/shells': '/bin/sh\n/bin/bash\n/bin/dash\n/usr/bin/sh\n/usr/bin/bash\n/usr/bin/dash\n',
};

const OS_RELEASE = 'PRETTY_NAME="Tiny 1"\nNAME=Tiny\nID=tiny\nID_LIKE=debian\nVERSION_ID=1\n';

/** No files of a package, since every package may add users: made once, as Debian's base-passwd does. */
const ACCOUNTS = `
[ -e /etc/passwd ] || cat >/etc/passwd <<'EOF'
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
_apt:x:42:65534::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
EOF
[ -e /etc/group ] || cat >/etc/group <<'EOF'
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
shadow:x:42:
utmp:x:43:
staff:x:50:
users:x:100:
nogroup:x:65534:
EOF
[ -e /etc/shadow ] || sed 's/:.*/:*:19700:0:99999:7:::/' /etc/passwd >/etc/shadow
[ -e /etc/gshadow ] || sed 's/:.*/:*::/' /etc/group >/etc/gshadow
chown root:shadow /etc/shadow /etc/gshadow
chmod 640 /etc/shadow /etc/gshadow
`;

/** What holds the tiny system together: its directories, /etc, and the other packages. */
export const tinyBase = (version: string, depends: readonly string[]): DebDescription => ({
  name: 'tiny-base',
  version,
  essential: true,
  priority: 'required',
  depends,
  files: {
    ...mapped(DIRECTORIES, (directory) => ({ directory })),
    ...Object.fromEntries(MERGED.map((name) => [`/${name}`, { symlink: `usr/${name}` }])),
    ...ETC,
    '/etc/os-release': { symlink: '../usr/lib/os-release' },
    '/usr/lib/os-release': OS_RELEASE,
    '/var/lock': { symlink: '/run/lock' },
    '/var/run': { symlink: '/run' },
  },
  conffiles: Object.keys(ETC),
  scripts: { preinst: ACCOUNTS },
});

const mapped = <T>(record: Record<string, T>, make: (value: T) => DebFile) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, make(value)]));
