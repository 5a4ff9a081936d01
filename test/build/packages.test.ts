import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { VersionBase } from '../../src/codec/store-rows.ts';
import { parseStanzas } from '../../src/manager/recipes/build/deb822.ts';
import { packageCount, parsePackages } from '../../src/manager/recipes/build/packages.ts';
import { addVersion } from '../../src/manager/templates/add-version.ts';
import { templateFor } from '../../src/manager/templates/import.ts';
import { readDirectory } from '../../src/manager/templates/read-directory.ts';
import type { Store } from '../../src/store/store.ts';
import { scratchDir } from '../support/machine/scratch-dir.ts';
import { scratchStore } from '../support/trees/scratch-store.ts';

const STATUS = `Package: one
Status: install ok installed
Maintainer: J\u00f6rg <j@example.com>
Architecture: amd64
Version: 1.0-1
Description: Package: no
 Version: neither
 .
 Status: install ok installed

Status: deinstall ok config-files
Package: gone
Architecture: amd64
Version: 2

Package: one
Status: hold ok installed
Architecture: i386
Multi-Arch: same
Version:   1.0-2  

Package: half
Status: install ok half-installed
Version: 3


Version: 4
Package: last
Architecture: all
Status: install ok installed`;

it('what is installed is what dpkg says, whatever the order of fields', () => {
  expect([...parsePackages(STATUS)]).toEqual([
    ['one', { name: 'one', version: '1.0-1', architecture: 'amd64' }],
    ['one:i386', { name: 'one', version: '1.0-2', architecture: 'i386' }],
    ['last', { name: 'last', version: '4', architecture: 'all' }],
  ]);
  expect(parsePackages('').size).toBe(0);
  // As the parser of all fields.
  const machine = readFileSync('/var/lib/dpkg/status', 'latin1');
  const all = parseStanzas(machine).filter((stanza) => / installed$/.test(stanza.get('status')!));
  expect([...parsePackages(machine).values()]).toEqual(
    all.map((stanza) => ({
      name: stanza.get('package'),
      version: stanza.get('version'),
      architecture: stanza.get('architecture'),
    })),
  );
});

async function add(store: Store, name: string, status: string, base?: VersionBase) {
  const tree = scratchDir();
  mkdirSync(path.join(tree, 'var/lib/dpkg'), { recursive: true });
  writeFileSync(path.join(tree, 'var/lib/dpkg/status'), status);
  const added = await addVersion(store, {
    template: () => templateFor(store, name, { kind: base === undefined ? 'os' : 'app' }),
    read: (writer) =>
      readDirectory(
        { path: tree, exclude: store.root },
        writer,
        () => undefined,
        () => undefined,
      ),
    describe: () => ({ label: '', note: '', ...(base && { base }) }),
    onlyIfChanged: false,
    progress: () => undefined,
  });
  return added!.template;
}

const bytesRead = (): number =>
  Number(/^rchar: ([0-9]+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1]);

it('of many apps on one version of an OS template, that one is read once', async () => {
  const store = await scratchStore();
  const filler = `X-Filler: ${'x'.repeat(2 ** 20)}\n`;
  const os = await add(
    store,
    'os',
    `Package: os\nStatus: install ok installed\nVersion: 1\n${filler}`,
  );
  const base = { templateId: os.id, version: 1 };
  const apps = [];
  for (let i = 0; i < 10; i++) {
    const own = `Package: app${i}\nStatus: install ok installed\nVersion: 1\n`;
    const same = 'Package: os\nStatus: install ok installed\nVersion: 1\n';
    apps.push(await add(store, `app${i}`, `${same}\n${own}`, base));
  }
  const before = bytesRead();
  expect(apps.map((app) => packageCount(store, app, 1))).toEqual(apps.map(() => 1));
  expect(bytesRead() - before).toBeLessThan(2 * 2 ** 20);
});
