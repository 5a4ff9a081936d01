/** Real programs in a Debian env, chroot'ed; what they write stays in it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashObjects } from '../suite/objects.ts';
import { makeTree } from '../suite/template/fixture.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { BUILD_ARCHIVE_MS, debianArchive, inEnv } from '../support/packages/debian.ts';
import { SCRIPTS } from './scripts.ts';

const PROGRAM_MS = 150_000;

/** What goes out and back: configuration, programs, and one of everything. */
const PARTS = ['etc', 'usr/bin', 'usr/share/perl', 'srv/tree'];
const COPIES = {
  tar: `
    tar -C "$from" --xattrs --xattrs-include='*' --acls -cf - ${PARTS.join(' ')} |
      tar -C "$out" --xattrs --xattrs-include='*' --acls -xpf -
    tar -C "$out" --xattrs --xattrs-include='*' --acls -cf - . |
      tar -C "$back" --xattrs --xattrs-include='*' --acls -xpf -`,
  cp: `
    cd "$from" && cp -a --parents ${PARTS.join(' ')} "$out"
    cp -a "$out/." "$back"; cd /`,
  rsync: `
    cd "$from" && rsync -aHAXR ${PARTS.join(' ')} "$out"
    rsync -aHAX "$out/" "$back/"; cd /`,
} as const;

let root: TestRoot;
let objects: ReadonlyMap<string, string>;

beforeAll(async () => {
  const archive = await debianArchive();
  root = await TestRoot.create();
  await root.import('debian', archive);
  const extra = root.directory('extra');
  makeTree(`${root.directory('extra/srv')}/tree`);
  await root.import('tree', extra, 'app');
  objects = hashObjects(root.path);
}, BUILD_ARCHIVE_MS);

afterAll(async () => {
  const after = hashObjects(root.path);
  await root.dispose();
  expect(after, 'objects').toEqual(objects);
});

for (const options of [[], ['--no-passthrough']]) {
  describe(`in a Debian env ${options.join(' ')}`, () => {
    const name = `env${options.length}`;
    let mountpoint: string;

    beforeAll(async () => {
      await root.create(name, 'debian', 'tree');
      mountpoint = await root.mount(name, ...options);
    });

    for (const [claim, script] of Object.entries(SCRIPTS)) {
      test(claim, { timeout: PROGRAM_MS }, async () => {
        const { code, stdout, stderr } = await inEnv(mountpoint, script, PROGRAM_MS);
        expect(code, `${stdout}\n${stderr}`).toBe(0);
      });
    }

    for (const [tool, copy] of Object.entries(COPIES)) {
      test(`${tool}: out of the env and back in is the same`, { timeout: PROGRAM_MS }, async () => {
        const outside = root.directory(`${name}-${tool}`);
        const script = `
          from="$1"; out="$2/out"; back="$1/srv/back-${tool}"; mkdir "$out" "$back"
          ${copy}
          same() { rsync -aHAXnic --delete "$1/" "$2/"; }
          for part in ${PARTS.join(' ')}; do
            same "$from/$part" "$out/$part"; same "$out/$part" "$back/$part"
          done`;
        const { code, stdout, stderr } = await sh(script, [mountpoint, outside], {
          timeout: PROGRAM_MS,
        });
        expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
      });
    }
  });
}
