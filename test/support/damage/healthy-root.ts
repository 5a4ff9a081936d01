/** A root with something of everything in it, made once by commands and mounts, and copied for each test. */

import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { accountNumber } from '../../../src/store/accounts.ts';
import { rawTables } from '../../../src/store/raw-tables.ts';
import { openStore } from '../../../src/store/store.ts';
import { mountsBelow, processesOf } from '../machine/leftovers.ts';
import { sh } from '../machine/program.ts';
import { TestRoot } from '../machine/root.ts';

/** Three versions that differ in every way: content, attributes, hard links, types, names that come and go. */
const TREES = `
mkdir -p v1/usr/bin v1/usr/lib/deep/er v1/etc/conf.d v1/var/empty v1/dev; cd v1
for i in 1 2 3 4 5 6; do echo "one tool $i" >"usr/bin/tool$i"; done
echo same >usr/lib/same; echo same >etc/same-too; echo own >usr/lib/own
echo kept >etc/kept; : >etc/empty; echo one conf >etc/conf.d/a; echo b >etc/conf.d/b; echo deep >usr/lib/deep/er/f
ln usr/bin/tool1 usr/bin/hard1; ln usr/bin/tool1 etc/hard2; ln -s usr/bin bin; mknod dev/null c 1 3; mkfifo dev/pipe
mkdir -p usr/share var/lib/dpkg/info; echo "pkg 1" >usr/share/pkg; echo /usr/share/pkg >var/lib/dpkg/info/pkg.list
printf 'Package: pkg\\nStatus: install ok installed\\nVersion: 1\\nArchitecture: all\\n\\n' >var/lib/dpkg/status
md5sum usr/share/pkg >var/lib/dpkg/info/pkg.md5sums
cd ..; cp -a v1 v2; cd v2
for i in 1 2 3 4 5 6; do echo "two tool $i" >"usr/bin/tool$i"; done
rm -r usr/lib/deep; mkdir etc/new.d; echo n >etc/new.d/n; rm etc/hard2; ln -sfn same etc/conf.d/b; echo two conf >etc/conf.d/a
cd ..; cp -a v1 v3; cd v3
for i in 1 2 3 4 5 6; do echo "three tool $i" >"usr/bin/tool$i"; done
rm bin; mkdir bin; echo x >bin/x; rm -r etc/conf.d; echo file >etc/conf.d
cd ..; mkdir -p gone app/usr/bin app/opt/app; echo gone >gone/g
mkdir -p based/etc; for at in v1 v2 v3 based; do echo 'root:x:0:' >$at/etc/group; done
echo users:x:100: >>v3/etc/group; echo svc:x:400: >>based/etc/group; echo based >based/etc/based
echo app >app/usr/bin/app; echo over >app/usr/bin/tool6; echo d >app/opt/app/data
`;

/** Every kind of change, in an env of the first version. */
const CHANGES = `
echo more >>etc/conf.d/a; rm usr/bin/tool2; mkdir -p srv/a/b; echo new >srv/a/b/f; ln srv/a/b/f srv/link
mv usr/lib/deep usr/lib/moved; chmod 600 usr/bin/tool3; ln usr/bin/tool4 srv/tool4; ln srv/tool4 srv/tool4b; mv etc/hard2 srv/hard2
rm usr/bin/hard1; ln -s x srv/sym; mkfifo srv/fifo; mkdir var/dir; mv srv/a var/dir/; echo >usr/bin/app
rm -r opt; mkdir opt; echo z >opt/z; mv etc/same-too etc/same-three; truncate -s 1M srv/big; chmod 700 etc
touch -d @1 usr/lib/own
sed -i 's/^Version: 1/Version: 9/' var/lib/dpkg/status; echo "pkg 9" >usr/share/pkg; echo /usr/share/pkg >var/lib/dpkg/info/pkg.list; md5sum usr/share/pkg >var/lib/dpkg/info/pkg.md5sums
`;
const OTHER_CHANGES =
  'rm -rf usr; mkdir -p usr/local; echo x >usr/local/x; echo y >>etc/conf.d/a; mkdir -p d/e/f';

/** Envs by what is in them: `web` changed much, `pinned` a little, `idle` was never mounted, `newer` is composed. */
async function makeRoot(): Promise<TestRoot> {
  const root = await TestRoot.create();
  const at = (name: string): string => path.join(root.base, name);
  const run = async (script: string, cwd: string): Promise<void> => {
    const { code, stderr } = await sh(script, [], { cwd });
    if (code !== 0) throw new Error(stderr);
  };
  await run(TREES, root.base);
  for (const version of ['v1', 'v2', 'v3']) await root.import('os', at(version));
  await root.import('app', at('app'), 'app');
  for (const version of ['gone', 'v1']) await root.import('old', at(version));
  await root.ok('template', 'rm', 'old');
  await root.create('web', 'os', 'app');
  await root.create('pinned', 'os@2');
  await root.create('idle', 'os');
  await root.create('gone', 'os');
  await root.ok('mount', 'web', 'pinned', 'gone');
  await run(CHANGES, path.join(root.path, 'mnt/web'));
  await run(OTHER_CHANGES, path.join(root.path, 'mnt/pinned'));
  // Under a patch and a rollback, with and without the envs mounted.
  await root.ok('patch', 'os', '--to', '2', '--take', '/etc/conf.d');
  await root.umount();
  await root.ok('destroy', 'gone');
  await root.ok('patch', 'os', '--to', '3');
  await root.mount('web');
  await run('echo three >>etc/same-three', path.join(root.path, 'mnt/web'));
  await root.ok('rollback', 'os');
  await root.umount('web');
  await addCanary(root.path);
  await addComposed(root);
  return root;
}

/** The env `idle` tries out version 3, as patch 1 says. */
async function addCanary(root: string): Promise<void> {
  const store = await openStore(root, { write: true });
  const row = store.needEnv('idle');
  const stack = row.stack.map((entry) => ({ ...entry, canary: { version: 3, patch: 1 } }));
  rawTables(store).transaction(() => store.putEnv({ ...row, stack }));
  await store.close();
}

/** An app that was installed on version 2, in an env of version 3: they share a file. */
async function addComposed(root: TestRoot): Promise<void> {
  const tree = path.join(root.base, 'based');
  await root.import('based', tree, 'app');
  const store = await openStore(root.path, { write: true });
  const { id: templateId } = store.template('os')!;
  const { id } = store.template('based')!;
  const [version] = store.versions(id);
  rawTables(store).transaction(() => {
    store.catalog.putVersion(id, { ...version!, base: { templateId, version: 2 } });
    accountNumber(rawTables(store), 'group', 'svc', 'system', new Set());
    accountNumber(rawTables(store), 'user', 'svc', 'system', new Set());
  });
  await store.close();
  await root.create('newer', 'os@3', 'based');
}

const copies: string[] = [];
let made: TestRoot;

/** Where processes that serve a root are met, and how long they stay. */
const PLACES = ['BYREF_RUN', 'BYREF_IDLE_EXIT_MS'];
const POLL = { timeout: 10_000, interval: 50 };

/** For a file of tests: makes the root before them. Each copy goes with its test. */
export function useHealthyRoot(): void {
  beforeAll(async () => {
    made = await makeRoot();
    // A repair may mount an env, to compose in it.
    for (const name of PLACES) process.env[name] = made.env[name];
  });
  afterAll(async () => {
    for (const name of PLACES) Reflect.deleteProperty(process.env, name);
    await made.dispose();
  });
  afterEach(async () => {
    for (const copy of copies.splice(0)) {
      await expect.poll(() => processesOf(path.join(copy, 'root')), POLL).toEqual([]);
      expect(mountsBelow(copy), 'mounts left').toEqual([]);
      rmSync(copy, { recursive: true, force: true });
    }
  });
}

/** The root itself, whose envs can be mounted. */
export const healthyRoot = (): TestRoot => made;

/** A copy, to be damaged; its path. */
export function copyRoot(): string {
  const base = mkdtempSync(path.join(tmpdir(), 'byref-fsck-'));
  copies.push(base);
  const copy = path.join(base, 'root');
  cpSync(made.path, copy, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  return copy;
}
