/** Each format with what Debian's packages write: fragments of trees with nginx, redis, postgresql, openssh and a browser. */
import { describe, expect, it } from 'vitest';
import { GROUP, GSHADOW, PASSWD, SHADOW } from '../../src/manager/merge/colon.ts';
import { DEBCONF } from '../../src/manager/merge/debconf.ts';
import {
  DIVERSIONS,
  DPKG_STATUS,
  EXTENDED_STATES,
  STATOVERRIDE,
} from '../../src/manager/merge/dpkg.ts';
import type { KeyedFormat } from '../../src/manager/merge/format.ts';
import { LOCALE_GEN, NSSWITCH, UCF, XML_CATALOG } from '../../src/manager/merge/keyed-lines.ts';
import { LINE_SET } from '../../src/manager/merge/lines.ts';
import { mergeKeyed } from '../../src/manager/merge/merge.ts';

function merge(format: KeyedFormat, base: string | null, ours: string, theirs: string) {
  const { content, conflicts } = mergeKeyed(format, { base, ours, theirs });
  return { content, conflicts: conflicts.map(({ key }) => key) };
}

describe('lines', () => {
  it('two shells', () => {
    expect(
      merge(LINE_SET, '# x\n/bin/sh\n', '# x\n/bin/sh\n/bin/zsh\n', '/bin/sh\n/bin/tcsh'),
    ).toEqual({ content: '/bin/sh\n/bin/zsh\n/bin/tcsh\n', conflicts: [] });
  });

  it('a line that is there twice stays twice', () => {
    const zsh = '/usr/bin/zsh\n';
    expect(merge(LINE_SET, '', zsh + zsh, '/bin/tcsh\n').content).toBe(`${zsh}${zsh}/bin/tcsh\n`);
  });
});

describe('no file', () => {
  const base = '/a\n/b\n';
  const sides = (ours: string | null, theirs: string | null) =>
    mergeKeyed(LINE_SET, { base, ours, theirs }).content;

  it('is one without records', () => {
    expect(sides('/a\n/b\n/c\n', null)).toBe('/c\n');
    expect(sides(null, '/a\n/b\n/c\n')).toBe('/c\n');
  });

  it('is left where both removed all of it, an empty one where neither removed the file', () => {
    expect(sides('/a\n', null)).toBeNull();
    expect(sides(null, '/a\n')).toBeNull();
    expect(sides('/a\n', '/b\n')).toBe('');
    expect(mergeKeyed(LINE_SET, { base: null, ours: null, theirs: null }).content).toBeNull();
  });
});

describe('accounts', () => {
  const group = 'audio:x:29:\nssl-cert:x:101:postgres\n';

  it('members are a set', () => {
    const ours = 'audio:x:29:pulse\nssl-cert:x:101:postgres,www-data\n';
    const theirs = 'audio:x:29:mpd\nssl-cert:x:101:\n';
    expect(merge(GROUP, group, ours, theirs)).toEqual({
      content: 'audio:x:29:pulse,mpd\nssl-cert:x:101:www-data\n',
      conflicts: [],
    });
    expect(merge(GSHADOW, null, 'a:!:x:y\n', 'a:!:z:y,w\n').content).toBe('a:!:x,z:y,w\n');
  });

  it('one user with two numbers is a conflict, and named', () => {
    const ours = 'messagebus:x:100:102::/nonexistent:/usr/sbin/nologin\n';
    const theirs = 'messagebus:x:100:101::/nonexistent:/usr/sbin/nologin\n';
    expect(merge(PASSWD, '', ours, theirs)).toEqual({
      content: ours,
      conflicts: ['user messagebus'],
    });
    const sides = { base: '', ours, theirs, prefer: 'theirs' } as const;
    expect(mergeKeyed(PASSWD, sides).content).toBe(theirs);
  });

  it('a shell and a home go together, two passwords do not', () => {
    const base = 'a:x:1000:1000:A:/home/a:/bin/sh\n';
    const ours = 'a:x:1000:1000:A:/home/a:/bin/zsh\n';
    const theirs = 'a:x:1000:1000:A:/srv/a:/bin/sh\n';
    expect(merge(PASSWD, base, ours, theirs).content).toBe('a:x:1000:1000:A:/srv/a:/bin/zsh\n');
    expect(merge(SHADOW, 'a:!:1::\n', 'a:$y$o:2::\n', 'a:$y$t:3::\n')).toEqual({
      content: 'a:$y$o:2::\n',
      conflicts: ['user a'],
    });
  });

  it('who is removed on one side goes; who is removed and changed is a conflict', () => {
    const base = 'a:x:1:1::/:\nb:x:2:2::/:\n';
    expect(merge(PASSWD, base, 'a:x:1:1::/:\n', `${base}c:x:3:3::/:\n`)).toEqual({
      content: 'a:x:1:1::/:\nc:x:3:3::/:\n',
      conflicts: [],
    });
    expect(merge(PASSWD, base, 'a:x:1:1::/:\n', 'a:x:1:1::/:\nb:x:2:2::/b:\n')).toEqual({
      content: 'a:x:1:1::/:\n',
      conflicts: ['user b'],
    });
  });

  it('entries of NIS and comments are lines', () => {
    const base = '# local\n+::::::\n';
    expect(merge(PASSWD, base, `${base}a:x:1:1::/:\n`, `${base}b:x:2:2::/:\n`).content).toBe(
      `${base}a:x:1:1::/:\nb:x:2:2::/:\n`,
    );
  });
});

describe('packages', () => {
  const stanza = (name: string, version: string, more = '') =>
    `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\n${more}Version: ${version}\nDescription: x\n .\n y\n\n`;
  const same = 'Multi-Arch: same\n';

  it('of two templates are all in; one of two versions is a conflict', () => {
    const base = stanza('dpkg', '1');
    const ours = base + stanza('nginx', '1') + stanza('libssl3', '3.0.16', same);
    const theirs = base + stanza('libssl3', '3.0.17', same) + stanza('redis', '7');
    expect(merge(DPKG_STATUS, base, ours, theirs)).toEqual({
      content: ours + stanza('redis', '7'),
      conflicts: ['package libssl3:amd64'],
    });
  });

  it('a package is in it once, whatever its architecture; one that is "same" once for each', () => {
    const all = (text: string) => text.replaceAll('amd64', 'all');
    const i386 = (text: string) => text.replaceAll('amd64', 'i386');
    expect(merge(DPKG_STATUS, '', stanza('a', '1'), all(stanza('a', '1'))).conflicts).toEqual([
      'package a',
    ]);
    const both = merge(DPKG_STATUS, '', stanza('l', '1', same), i386(stanza('l', '1', same)));
    expect(both.conflicts).toEqual([]);
    expect(both.content).toBe(stanza('l', '1', same) + i386(stanza('l', '1', same)));
  });

  it('a package that one side wants by name stays', () => {
    const mark = (value: number) => `Package: a\nArchitecture: amd64\nAuto-Installed: ${value}\n\n`;
    expect(merge(EXTENDED_STATES, '', mark(1), mark(0)).content).toBe(mark(0));
    expect(merge(EXTENDED_STATES, mark(1), '', mark(1)).content).toBe('');
  });

  it('diversions are three lines each', () => {
    const dash = '/bin/sh\n/bin/sh.distrib\ndash\n';
    const ours = `${dash}/usr/bin/firefox\n/usr/bin/firefox.real\nfirefox-esr\n`;
    const theirs = `${dash}/usr/bin/pg_config\n/usr/bin/pg_config.libpq-dev\npostgresql-common\n`;
    expect(merge(DIVERSIONS, dash, ours, theirs).content).toBe(ours + theirs.slice(dash.length));
    expect(merge(DIVERSIONS, dash, `${ours}cut\n`, theirs)).toEqual({
      content: `${ours}cut\n`,
      conflicts: ['the whole file'],
    });
  });

  it('statoverride and ucf are keyed by the path', () => {
    const ours = 'root ssl-cert 710 /etc/ssl/private\n';
    const theirs = 'redis redis 640 /etc/redis/redis.conf\nroot root 700 /etc/ssl/private\n';
    expect(merge(STATOVERRIDE, null, ours, theirs)).toEqual({
      content: `${ours}redis redis 640 /etc/redis/redis.conf\n`,
      conflicts: ['mode of /etc/ssl/private'],
    });
    const registry = 'openssh-server \t /etc/ssh/sshd_config\n';
    expect(merge(UCF, '', registry, 'x \t /etc/ssh/sshd_config\n').conflicts).toEqual([
      'configuration file /etc/ssh/sshd_config',
    ]);
  });
});

describe('debconf', () => {
  const question = (value: string, owners: string, flags = '') =>
    `Name: shared/q\nTemplate: shared/q\nValue: ${value}\nOwners: ${owners}\n${flags && `Flags: ${flags}\n`}\n`;

  it('owners and flags are sets, an answer is one', () => {
    expect(merge(DEBCONF, null, question('1', 'a', 'seen'), question('1', 'b'))).toEqual({
      content: question('1', 'a, b', 'seen'),
      conflicts: [],
    });
    expect(
      merge(DEBCONF, question('1', 'a, b'), question('1', 'b'), question('1', 'a')).content,
    ).toBe(question('1', ''));
    expect(merge(DEBCONF, null, question('1', 'a'), question('2', 'a'))).toEqual({
      content: question('1', 'a'),
      conflicts: ['question shared/q'],
    });
  });

  it("each package's PAM profile is in, and what the question says of them is no conflict", () => {
    const profiles = (value: string, names: string) =>
      `Name: libpam-runtime/profiles\nValue: ${value}\nOwners: libpam-runtime\nVariables:\n profile_names = ${names}\n\n`;
    const merged = merge(
      DEBCONF,
      profiles('unix', 'unix'),
      profiles('unix, systemd', 'unix, systemd'),
      profiles('unix, ldap', 'unix, ldap'),
    );
    expect(merged).toEqual({
      content: profiles('unix, systemd, ldap', 'unix, systemd'),
      conflicts: [],
    });
  });
});

describe('small files', () => {
  it('a locale that one side chose stays where it was', () => {
    const base = '# head\n\n# de_DE.UTF-8 UTF-8\n# en_GB.UTF-8 UTF-8\n';
    const ours = base.replace('# de_DE', 'de_DE');
    const theirs = base.replace('# en_GB', 'en_GB');
    expect(merge(LOCALE_GEN, base, ours, theirs).content).toBe(
      '# head\n\nde_DE.UTF-8 UTF-8\nen_GB.UTF-8 UTF-8\n',
    );
  });

  it('services are added, but not around an action', () => {
    const line = (services: string) => `passwd:         ${services}\n`;
    expect(merge(NSSWITCH, line('files'), line('files systemd'), line('files ldap')).content).toBe(
      line('files systemd ldap'),
    );
    const hosts = 'hosts: files mdns4_minimal [NOTFOUND=return] dns\n';
    expect(merge(NSSWITCH, 'hosts: files dns\n', hosts, 'hosts: files myhostname dns\n')).toEqual({
      content: hosts,
      conflicts: ['database hosts'],
    });
  });

  it("an XML catalog's end stays its end", () => {
    const catalog = (...entries: string[]) =>
      ['<catalog>', ...entries, '</catalog>', ''].join('\n');
    expect(merge(XML_CATALOG, null, catalog('<a/>'), catalog('<b/>')).content).toBe(
      catalog('<a/>', '<b/>'),
    );
  });
});
