/** Configuration files with mistakes in them: each is read, or refused with a sentence that says what to do. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/api/config.ts';
import { ByrefError } from '../../src/base/error.ts';
import { parseConfig } from '../../src/manager/recipes/build/config.ts';
import { parseNeeds } from '../../src/manager/recipes/build/needs.ts';
import { parseRules } from '../../src/manager/recipes/capture/rules-file.ts';
import { readEnvConfig } from '../../src/services/env-config.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { mutated, mutation } from './mutations.ts';
import { isStack, Outcomes } from './outcome.ts';

let dir: string;
let file: string;
beforeAll(() => {
  dir = newDir();
  file = path.join(dir, 'given.yaml');
});
afterAll(() => removeDir(dir));

const written = (source: Buffer): string => {
  writeFileSync(file, source);
  return file;
};

/** Each kind of file: a right one, and what reads it. */
const KINDS: Record<
  string,
  { readonly right: string; readonly read: (source: Buffer) => unknown }
> = {
  'a daemon’s configuration': {
    right: `root: /srv/byref
log: debug
metrics: 127.0.0.1:9464
autostart: false
keep-operations: 100
scrub-every: 30d
scrub-rate: 20MiB
`,
    read: (source) => readConfig(written(source), null, '/var/lib/byref'),
  },
  'an OS template’s build file': {
    right: `name: debian-12
suite: bookworm
repository: http://mirror.example/debian
components: [main]
packages: [nginx, "curl"]
variant: minbase
updates: true
env: [DEBIAN_FRONTEND=noninteractive]
binds: ["/srv/debs:/debs"]
sources:
  - {repository: "http://mirror.example/more", suites: [bookworm], components: [main]}
needs: {ports: ["80"], capabilities: [NET_ADMIN]}
`,
    read: (source) => parseConfig(source.toString('utf8'), file),
  },
  'an app’s build file': {
    right: 'name: nginx\nkind: app\nbase: debian-12\npackages: [nginx]\npins: []\n',
    read: (source) => parseConfig(source.toString('utf8'), file),
  },
  'what a template needs': {
    right: 'ports: ["80"]\ninit: sleep infinity\nenvironment: [A=b]\n',
    read: (source) => parseNeeds(source.toString('utf8'), file),
  },
  'the rules of a capture': {
    right: 'leave-out: [/var/cache]\nempty: [/etc/machine-id]\nkeep: []\n',
    read: (source) => parseRules(source.toString('utf8'), file),
  },
  'an env’s file': {
    right: `name: web
os: debian-12@3
apps: [nginx]
profile: small
settings: {limits.memory: 1GiB}
environment: {A: b}
ports: ["8080:80"]
volumes: ["/srv:1GiB"]
binds: ["/srv/www:/var/www:ro"]
tmpfs: ["/tmp:64MiB"]
devices: [/dev/fuse]
refuse-needs: false
`,
    read: (source) => readEnvConfig(written(source)),
  },
};

/** What makes YAML something else than it looks like. */
const PIECES = [
  ...[
    '&a ',
    '*a',
    '!!binary ',
    '!!js/function ',
    '<<: *a',
    '---\n',
    '...\n',
    '%YAML 9.9\n',
    '? ',
    '| ',
    '>- ',
  ],
  ...[
    '[',
    ']',
    '{',
    '}',
    ':',
    ': ',
    '- ',
    '"',
    "'",
    '\t',
    '\0',
    '\r',
    '\u2028',
    '\ufeff',
    '\ud83d',
    '#',
  ],
  ...[
    '__proto__: 1\n',
    'constructor: 1\n',
    'toString: x\n',
    'length: 0\n',
    'name: null\n',
    'name: [[]]\n',
  ],
  ...[
    '.inf',
    '.nan',
    '-0',
    '1e999',
    '0x7fffffffffffffff',
    '99999999999999999999',
    '2001-01-01',
    '~',
    'yes',
  ],
  ...['a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b, *b]\n', '[[[[[[[[[[[[[[[[', '{a: {a: {a: {a: '],
];

const change = mutation(
  fc.constantFrom(...PIECES).map((text) => Buffer.from(text)),
  fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text)),
);

test.each(Object.entries(KINDS))('%s', (_, { right, read }) => {
  // What is changed below is right to begin with, or little of it would be read at all.
  read(Buffer.from(right));
  const outcomes = new Outcomes();
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (mutations) => {
      const source = mutated(Buffer.from(right), mutations);
      try {
        read(source);
        outcomes.add('told', () => '');
      } catch (error) {
        const isTold =
          error instanceof ByrefError &&
          error.message !== '' &&
          error.hint !== '' &&
          !isStack(error.message);
        outcomes.add(isTold ? 'told' : 'wrong', () => `${String(error)}\n${source.toString()}`);
      }
    }),
    propertyRuns(300),
  );
  expect(outcomes.bad, outcomes.text).toEqual({});
});

test('a file whose references would grow beyond all memory is refused', () => {
  const lines = Array.from({ length: 30 }, (_, i) => {
    const of = i === 0 ? 'x' : `*a${i - 1}`;
    return `a${i}: &a${i} [${Array.from({ length: 10 }, () => of).join(', ')}]`;
  });
  for (const { read } of Object.values(KINDS))
    expect(() => read(Buffer.from(lines.join('\n')))).toThrow(ByrefError);
});
