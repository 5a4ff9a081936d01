import { expect, test } from 'vitest';
import type { ByrefError } from '../../src/base/error.ts';
import { configText, parseConfig } from '../../src/manager/recipes/build/config.ts';

/** The lines of what is wrong with it. */
function mistakes(source: string): string[] {
  try {
    parseConfig(source, 'dir/x.yaml');
  } catch (error) {
    expect((error as ByrefError).code).toBe('badInput');
    return (error as ByrefError).message.split('\n');
  }
  return [];
}

test('a file with all fields', () => {
  const source = `
kind: os
name: debian-12
suite: bookworm
components: [main, contrib]
repository: https://repository.example/debian
updates: false
sources:
  - repository: https://vendor.example/apt
    suites: [stable, testing]
    components: [tools]
    keyring: keys/vendor.gpg
  - suites: bookworm-backports
pins:
  - packages: 'lib*'
    pin: release n=bookworm-backports
    priority: 500
  - {packages: [a, b], pin: version 1.*, priority: -1}
architecture: amd64
variant: apt
packages:
  - openssl
  - nginx=1.22.1-9
  - curl/bookworm-backports
keyring: keys/debian.gpg
hooks: ['echo hello > "$1/etc/hello"']
env: [HTTPS_PROXY, 'CA=/run/ca.pem']
binds: ['/etc/ssl/ca.pem:/run/ca.pem']
label: '12.11'
shared: [/usr, /opt]
`;
  expect(parseConfig(source, '/srv/build/x.yaml')).toEqual({
    kind: 'os',
    name: 'debian-12',
    base: null,
    suite: 'bookworm',
    components: ['main', 'contrib'],
    repository: 'https://repository.example/debian',
    updates: false,
    sources: [
      {
        repository: 'https://vendor.example/apt',
        suites: ['stable', 'testing'],
        components: ['tools'],
        keyring: '/srv/build/keys/vendor.gpg',
      },
      { repository: null, suites: ['bookworm-backports'], components: ['main'], keyring: null },
    ],
    pins: [
      { packages: ['lib*'], pin: 'release n=bookworm-backports', priority: 500 },
      { packages: ['a', 'b'], pin: 'version 1.*', priority: -1 },
    ],
    architecture: 'amd64',
    variant: 'apt',
    packages: ['openssl', 'nginx=1.22.1-9', 'curl/bookworm-backports'],
    recommends: false,
    keyring: '/srv/build/keys/debian.gpg',
    hooks: ['echo hello > "$1/etc/hello"'],
    env: ['HTTPS_PROXY', 'CA=/run/ca.pem'],
    binds: ['/etc/ssl/ca.pem:/run/ca.pem'],
    needs: null,
    label: '12.11',
    shared: ['/usr', '/opt'],
  });
});

test('a short file has defaults', () => {
  expect(parseConfig('{name: a, suite: b}', 'x')).toMatchObject({
    kind: 'os',
    components: ['main'],
    repository: null,
    updates: true,
    sources: [],
    pins: [],
    variant: 'minbase',
    packages: [],
    keyring: null,
  });
});

test('what a version keeps of it says the same, wherever it is read', () => {
  for (const source of [
    '{name: a, suite: b, keyring: k.gpg, packages: [curl], hooks: ["echo \\"$1\\" # x"], label: "12"}',
    '{kind: app, name: a, base: b, packages: [curl=1:2.0-1]}',
    '{name: a, suite: b, updates: false, sources: [{suites: c}, {repository: "http://d", suites: [e], keyring: f}]}',
    '{name: a, suite: b, needs: {ports: [80, "53:53/udp"], devices: [/dev/fuse], init: "sh -c x"}}',
    '{kind: app, name: a, base: b, packages: [cc], pins: [{packages: "*", pin: origin d, priority: 9}]}',
  ]) {
    const config = parseConfig(source, '/srv/build/x.yaml');
    expect(parseConfig(configText(config), 'elsewhere')).toEqual(config);
  }
});

test('every mistake is told with its line and field', () => {
  const source = `name: 'a b'
suite: 12
packges: [x]
packages:
  - fine
  - Not Fine
components: main
hooks: [1]
base: other
env: [1X]
binds: [etc]
`;
  expect(mistakes(source)).toEqual([
    'dir/x.yaml:1: name: "a b" is not a name of letters, digits and . _ + -',
    'dir/x.yaml:2: suite: 12 is not a suite, such as bookworm',
    'dir/x.yaml:3: packges: no such field; there are kind, name, base, suite, components, repository, updates, sources, pins, architecture, variant, packages, recommends, keyring, hooks, env, binds, needs, label, shared',
    'dir/x.yaml:6: packages: "Not Fine" is not a package: NAME, NAME=VERSION or NAME/SUITE',
    'dir/x.yaml:7: components: "main" is not a list, each a component, such as main',
    'dir/x.yaml:8: hooks: 1 is not a shell command',
    'dir/x.yaml:9: base: an OS template has none',
    'dir/x.yaml:10: env: "1X" is not a variable: NAME or NAME=VALUE',
    'dir/x.yaml:11: binds: "etc" is not an absolute path, or two as SOURCE:PLACE',
  ]);
});

test('mistakes in sources and pins are told by their own lines', () => {
  const source = `name: a
suite: b
sources:
  - repository: ftp://x
    suites: [stable, 'not fine']
    keyrings: k
  - components: [main]
pins:
  - packages: [a]
    pin: whatever
    priority: 1.5
  - plain
`;
  expect(mistakes(source)).toEqual([
    'dir/x.yaml:4: sources: repository: "ftp://x" is not an address, such as https://HOST/debian or file:///srv/repository',
    'dir/x.yaml:5: sources: suites: "not fine" is not a suite, such as bookworm',
    'dir/x.yaml:6: sources: keyrings: no such field; there are repository, suites, components, keyring',
    'dir/x.yaml:7: sources: suites: is missing: a suite, such as bookworm, or a list of such',
    'dir/x.yaml:10: pins: pin: "whatever" is not a pin, such as release a=bookworm-backports',
    'dir/x.yaml:11: pins: priority: 1.5 is not a whole number, as apt_preferences(5) has it',
    'dir/x.yaml:12: pins: "plain" is not a pin: a map of packages, pin, priority',
  ]);
  const app =
    '{kind: app, name: a, base: b, packages: [cc], sources: [{suites: d}], updates: true}';
  expect(mistakes(app)).toEqual([
    'dir/x.yaml:1: updates: an app has that of its base',
    'dir/x.yaml:1: sources: repository: is missing: an app names each',
  ]);
});

test('what is missing, and what is no map at all', () => {
  expect(mistakes('kind: os')).toEqual([
    'dir/x.yaml:1: name: is missing: a name of letters, digits and . _ + -',
    'dir/x.yaml:1: suite: is missing: a suite, such as bookworm',
  ]);
  expect(mistakes('- a\n- b')[0]).toBe(
    'dir/x.yaml:1: it is not a map of fields, as "name: debian-12"',
  );
  expect(mistakes('')[0]).toBe('dir/x.yaml:1: it is not a map of fields, as "name: debian-12"');
});

test('a name is one that any template may have', () => {
  expect(mistakes('{name: "12", suite: b}')).toEqual([
    'dir/x.yaml:1: name: "12" is not a name of letters, digits and . _ + -',
  ]);
});

test('YAML that is none is told by its line', () => {
  const [first] = mistakes('name: a\nsuite: [b\n');
  expect(first).toMatch(/^dir\/x\.yaml:[23]: /);
  expect(mistakes('name: a\nname: b\nsuite: c')[0]).toContain(
    'dir/x.yaml:2: Map keys must be unique',
  );
});
