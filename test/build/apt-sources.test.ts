import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  embeddedKey,
  machineSources,
  sourcesFor,
  sourcesText,
} from '../../src/manager/recipes/build/apt-sources.ts';
import { parseStanzas } from '../../src/manager/recipes/build/deb822.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

let etc: string;
beforeEach(() => {
  etc = newDir();
  mkdirSync(path.join(etc, 'sources.list.d'));
});
afterEach(() => removeDir(etc));

test('both forms of apt sources, of the suite and of its updates', () => {
  writeFileSync(
    path.join(etc, 'sources.list'),
    `# a comment
deb [arch=amd64,arm64 signed-by=/k.gpg] http://a.example/debian bookworm main contrib # behind
deb-src http://a.example/debian bookworm main
deb http://other.example/debian trixie main
deb http://other.example/debian bookworm-backports main
`,
  );
  writeFileSync(
    path.join(etc, 'sources.list.d/s.sources'),
    `Types: deb deb-src
URIs: http://b.example/debian
 http://c.example/debian
# within
Suites: bookworm-updates bookworm-security sid
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no
`,
  );
  writeFileSync(path.join(etc, 'sources.list.d/s.disabled'), 'deb http://no.example bookworm main');
  const sources = machineSources('bookworm', etc);
  expect(sources.map(({ uris, suites }) => [uris, suites])).toEqual([
    [['http://a.example/debian'], ['bookworm']],
    [
      ['http://b.example/debian', 'http://c.example/debian'],
      ['bookworm-updates', 'bookworm-security'],
    ],
  ]);
  expect(sourcesText(sources)).toBe(`Types: deb
URIs: http://a.example/debian
Suites: bookworm
Components: main contrib
Architectures: amd64 arm64
Signed-By: /k.gpg

Types: deb
URIs: http://b.example/debian http://c.example/debian
Suites: bookworm-updates bookworm-security
Components: main
Signed-By: -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
`);
  expect(machineSources('sarge', etc)).toEqual([]);
});

test('a source without a wanted component is left out; if none is left, the components that there are', () => {
  writeFileSync(
    path.join(etc, 'sources.list'),
    `deb http://a.example/debian bookworm main contrib
deb http://b.example/debian bookworm-updates non-free
`,
  );
  const wanted = (...components: string[]): string =>
    sourcesText(sourcesFor({ name: 'x', suite: 'bookworm', components }, etc).sources);
  expect(wanted('main')).toBe(`Types: deb
URIs: http://a.example/debian
Suites: bookworm
Components: main
`);
  expect(() => wanted('universe')).toThrow(
    expect.objectContaining({
      code: 'badInput',
      message:
        "this machine's apt sources of the suite bookworm have none of the components that x wants: universe",
      hint: expect.stringContaining('There are contrib, main, non-free: '),
    }),
  );
});

test('a suite that this machine is not of has the sources of the one that it is of, with their updates', () => {
  const list = path.join(etc, 'sources.list');
  const trixie = () => sourcesFor({ name: 'x', suite: 'trixie', components: ['main'] }, etc);
  writeFileSync(
    list,
    `deb http://vendor.example/tools stable main
deb [signed-by=/k.gpg] http://a.example/debian bookworm main non-free
deb http://a.example/debian bookworm-updates main
deb http://a.example/debian-security bookworm-security main
deb http://a.example/debian bookworm-backports main
`,
  );
  const { sources, isOwn } = trixie();
  expect(isOwn).toBe(false);
  expect(sourcesText(sources)).toBe(`Types: deb
URIs: http://a.example/debian
Suites: trixie
Components: main
Signed-By: /k.gpg

Types: deb
URIs: http://a.example/debian
Suites: trixie-updates
Components: main

Types: deb
URIs: http://a.example/debian-security
Suites: trixie-security
Components: main
`);
  writeFileSync(list, 'deb http://a.example/debian trixie main\n', { flag: 'a' });
  expect(trixie()).toMatchObject({ isOwn: true, sources: [{ suites: ['trixie'] }] });
  writeFileSync(list, 'deb http://vendor.example/tools stable main\n');
  expect(trixie).toThrow('no source of the suite trixie');
});

test('a keyring becomes a field that apt reads', () => {
  const key = embeddedKey(Buffer.alloc(100, 1));
  const [stanza] = parseStanzas(`Signed-By: ${key}\n`);
  const lines = stanza!
    .get('signed-by')!
    .split('\n')
    .map((line) => line.trim());
  expect(lines.slice(0, 3)).toEqual(['', '-----BEGIN PGP PUBLIC KEY BLOCK-----', '.']);
  expect(Buffer.from(lines.slice(3, -1).join(''), 'base64')).toEqual(Buffer.alloc(100, 1));
});
