import { expect, test } from 'vitest';
import {
  accountId,
  diversionsOf,
  filtersOf,
  isConfigName,
  overridesOf,
  PathFilters,
} from '../../src/manager/merge/dpkg-rules.ts';

test('diversions are three lines each, and none in a damaged file', () => {
  const content = '/usr/bin/a\n/usr/bin/a.distrib\n:\n/b c\n/b c.real\nwrapper\n';
  expect(diversionsOf(content)).toEqual([
    { from: '/usr/bin/a', to: '/usr/bin/a.distrib', by: null },
    { from: '/b c', to: '/b c.real', by: 'wrapper' },
  ]);
  expect(diversionsOf(`${content}/cut\n`)).toEqual([]);
  expect(diversionsOf(null)).toEqual([]);
});

test('overrides have names or numbers, and paths with spaces', () => {
  expect(overridesOf('root mail 2755 /usr/bin/a b\n#33 #0 600 /c\nno line\n')).toEqual([
    { user: 'root', group: 'mail', mode: 0o2755, path: '/usr/bin/a b' },
    { user: '#33', group: '#0', mode: 0o600, path: '/c' },
  ]);
  expect(accountId('#33', null)).toBe(33);
  expect(accountId('mail', 'root:x:0:\nmail:x:8:\n')).toBe(8);
  expect(accountId('mai', 'mail:x:8:\n')).toBeNull();
});

test.each([
  [['path-exclude=/usr/share/doc/*'], '/usr/share/doc/a/b', false, true],
  [['path-exclude /usr/share/doc/*'], '/usr/share/doc', true, false],
  [['path-exclude="/usr/share/doc/*"'], '/usr/share/doc/a', true, true],
  [['#path-exclude=/*', 'path-excludes=/*', '', 'force-confold'], '/a', false, false],
  // The last one that matches decides.
  [['path-exclude=/d/*', 'path-include=/d/*/copyright'], '/d/a/copyright', false, false],
  [['path-include=/d/*/copyright', 'path-exclude=/d/*'], '/d/a/copyright', false, true],
  // What may lead to something that is included is unpacked.
  [['path-exclude=/d/*', 'path-include=/d/*/copyright'], '/d/a', true, false],
  [['path-exclude=/d/*', 'path-include=/d/*/copyright'], '/d/a', false, true],
  [['path-exclude=/d/*', 'path-include=/e/*'], '/d/a', true, true],
  [['path-exclude=/l/[a-c]?.mo'], '/l/bx.mo', false, true],
  [['path-exclude=/l/[!a-c]?.mo'], '/l/bx.mo', false, false],
  [['path-exclude=/l/[]x]'], '/l/]', false, true],
  [['path-exclude=/l/\\*'], '/l/a', false, false],
  [['path-exclude=/l/\\*'], '/l/*', false, true],
  [['path-exclude=/l/a.b'], '/l/axb', false, false],
  [['path-exclude=/l/[[:digit:]x]'], '/l/7', false, true],
])('%j excludes %s (leads: %s): %s', (lines, path, mayLead, expected) => {
  expect(new PathFilters(filtersOf([`${lines.join('\n')}\n`])).excludes(path, mayLead)).toBe(
    expected,
  );
});

test('backups of an editor are no configuration', () => {
  expect(['docs', '10-docs_b', 'docs.conf', 'docs~'].map(isConfigName)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
