import { describe, expect, it } from 'vitest';
import { askedFor, withoutMarks } from '../../src/manager/merge/auto-marks.ts';
import { describeConflict } from '../../src/manager/merge/conflicts.ts';
import { GENERATED, generatedFrom, isGenerated } from '../../src/manager/merge/generated.ts';
import { REGISTRY_PATHS, registryFormat } from '../../src/manager/merge/table.ts';

describe('registryFormat', () => {
  it('knows the files of its patterns, and no others', () => {
    const names = {
      '/etc/passwd': 'passwd',
      '/etc/passwd-': undefined,
      '/var/lib/dpkg/status': 'dpkg status',
      '/var/lib/dpkg/status-old': undefined,
      '/var/lib/dpkg/info/nginx.list': 'lines',
      '/var/lib/dpkg/info/.list': undefined,
      '/var/lib/dpkg/info/nginx.md5sums': undefined,
      '/var/lib/dpkg/alternatives/editor': 'alternatives',
      '/var/lib/dpkg/alternatives/a/b': undefined,
      '/var/lib/dpkg/alternatives/': undefined,
      '/etc/xml/catalog': 'XML catalog',
      '/srv/etc/passwd': undefined,
    };
    for (const [path, name] of Object.entries(names)) {
      expect(registryFormat(path)?.name, path).toBe(name);
    }
  });

  it('has patterns of one star, in the last component', () => {
    for (const pattern of REGISTRY_PATHS) {
      expect(pattern).toMatch(/^(\/[^/*]+)+(\/[^/*]*\*[^/*]*)?$/);
    }
  });
});

describe('generated files', () => {
  const due = (path: string) => generatedFrom(path).map(({ name }) => name);

  it('are due when what they are made of changed, not when they are written', () => {
    expect(due('/usr/lib/x86_64-linux-gnu/libssl.so.3')).toEqual(['ldconfig']);
    expect(due('/etc/ld.so.cache')).toEqual([]);
    expect(due('/usr/share/mime/packages/libreoffice.xml')).toEqual(['MIME types']);
    expect(due('/usr/share/mime/text/html.xml')).toEqual([]);
    expect(due('/usr/share/icons/hicolor/48x48/apps/chromium.png')).toEqual(['icons']);
    expect(due('/usr/share/icons/hicolor/icon-theme.cache')).toEqual([]);
    expect(due('/usr/lib/x86_64-linux-gnu/gio/modules/libdconfsettings.so')).toEqual([
      'GIO modules',
    ]);
    expect(isGenerated('/usr/share/info/dir')).toBe(true);
    expect(isGenerated('/usr/share/info/ed.info.gz')).toBe(false);
  });

  it('have a name each, and a program by its path', () => {
    expect(new Set(GENERATED.map(({ name }) => name)).size).toBe(GENERATED.length);
    for (const { needs } of GENERATED) expect(needs).toMatch(/^\/usr\//);
  });
});

describe("apt's marks", () => {
  const installed = (name: string, architecture: string) =>
    `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\n\n`;
  const mark = (name: string) => `Package: ${name}\nArchitecture: amd64\nAuto-Installed: 1\n\n`;

  it('go from what another template asked for', () => {
    const status =
      installed('dpkg', 'amd64') + installed('ucf', 'all') + installed('dbus', 'amd64');
    const gone = 'Package: old\nStatus: deinstall ok config-files\nArchitecture: amd64\n\n';
    const wanted = askedFor(status + gone, mark('dbus'));
    expect([...wanted]).toEqual(['dpkg:amd64', 'ucf:amd64']);
    expect(withoutMarks(mark('ucf') + mark('dbus'), wanted)).toBe(mark('dbus'));
    expect(withoutMarks(mark('dbus'), wanted)).toBe(mark('dbus'));
    expect([...askedFor(installed('a', 'all'), null)]).toEqual(['a:all']);
  });
});

describe('a conflict', () => {
  const sides = { ours: 'the env', theirs: 'template redis' };
  const tell = (ours: string | null, theirs: string | null, kept?: 'theirs') =>
    describeConflict('/etc/shadow', { key: 'user redis', ours, theirs }, sides, kept);

  it('is told without its values', () => {
    expect(tell('a', 'b')).toBe(
      "/etc/shadow: user redis: the env and template redis have it differently; the env's is kept",
    );
    expect(tell(null, 'b')).toContain('the env removed it, template redis changed it');
    expect(tell('a', null, 'theirs')).toMatch(
      /template redis removed it.*; template redis's is kept/,
    );
  });
});
