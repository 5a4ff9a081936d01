/** Files of which an env has set attributes only, at a flip: what programs hold of them, and attributes that say something of content. */
import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PatchRoot } from '../support/machine/patch-root.ts';
import { sh } from '../support/machine/program.ts';
import {
  LOCK_EX,
  LOCK_NB,
  MAP_SHARED,
  Mapping,
  PROT_READ,
  tryFlock,
  Watcher,
} from '../syscalls/index.ts';

let t: PatchRoot;
beforeEach(async () => {
  t = await PatchRoot.create();
});
afterEach(() => t.dispose());

/** Imports what a script makes in an empty directory as the next version. */
async function version(script: string): Promise<void> {
  const dir = path.join(t.root.base, 'tree');
  mkdirSync(dir);
  const { code, stderr } = await sh(`set -e; mkdir -p usr/lib\n${script}`, [], { cwd: dir });
  expect(code, stderr).toBe(0);
  await t.root.import('t', dir);
  await sh('rm -rf tree', [], { cwd: t.root.base });
}

/** Each event of the watch on a file or its directory. */
const ALL_EVENTS = 0xfff;

/** A program that has a file open, mapped and locked, and watches it. */
class Holder {
  private readonly file: string;
  private readonly fd: number;
  private readonly mapping: Mapping;
  private readonly watcher = new Watcher();

  constructor(file: string) {
    this.file = file;
    this.fd = openSync(file, 'r');
    this.mapping = Mapping.ofFile(this.fd, 4096, MAP_SHARED, PROT_READ);
    expect(tryFlock(this.fd, LOCK_EX | LOCK_NB)).toBe(true);
    this.watcher.watch(file, ALL_EVENTS);
  }

  /** All that it sees, and what somebody else sees who comes now. */
  seen() {
    const fd = openSync(this.file, 'r');
    try {
      return {
        events: this.watcher.events().map(({ mask }) => mask),
        mapped: this.mapping.text(0, 3),
        read: textOf(this.fd),
        links: fstatSync(this.fd).nlink,
        isSameFile: fstatSync(this.fd).ino === statSync(this.file).ino,
        there: textOf(fd),
        // The lock is on the file that it has, and nobody else's.
        isFree: tryFlock(fd, LOCK_EX | LOCK_NB),
        isStillLocked: tryFlock(this.fd, LOCK_EX | LOCK_NB),
      };
    } finally {
      closeSync(fd);
    }
  }

  end(): void {
    this.mapping.unmap();
    this.watcher.close();
    closeSync(this.fd);
  }
}

function textOf(fd: number): string {
  const buffer = Buffer.alloc(64);
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
}

test('what programs have open, mapped, locked or watched of it goes on as of a file that nobody touched', async () => {
  const files = ['touched', 'untouched'];
  const write = (text: string): string =>
    files.map((name) => `echo ${text} >usr/lib/${name}`).join('\n');
  await version(write('one'));
  await version(write('two'));
  await t.envs('e');
  await t.root.ok('rollback', 't');
  await t.out('e', 'chmod 600 usr/lib/touched; chown 33 usr/lib/touched');
  const holders = files.map((name) => new Holder(path.join(t.mount('e'), 'usr/lib', name)));
  try {
    const seen = () => holders.map((each) => each.seen());
    seen();
    await t.root.ok('patch', 't', '--to', '2');
    const [touched, untouched] = seen();
    expect(touched).toEqual(untouched);
    expect(touched).toMatchObject({
      mapped: 'one',
      read: 'one\n',
      links: 0,
      there: 'two\n',
      isFree: true,
    });
    await t.root.ok('rollback', 't');
    const [touchedThen, untouchedThen] = seen();
    expect(touchedThen).toEqual(untouchedThen);
    expect(touchedThen).toMatchObject({ mapped: 'one', there: 'one\n' });
  } finally {
    for (const each of holders) each.end();
  }
});

test('a time of a content is of the version that brings the content, capabilities of the version that has them, and devices follow', async () => {
  const files = ['content', 'mode', 'owned', 'bare'];
  const make = (text: string, mode: number, minor: number): string => `
for name in ${files.join(' ')}; do echo ${text} >usr/lib/$name; done
echo same >usr/lib/mode; chmod ${mode} usr/lib/mode
setcap cap_net_raw+ep usr/lib/owned; setcap cap_net_raw+ep usr/lib/bare
mknod usr/lib/device c 1 ${minor}
touch -d '2026-01-0${minor} 00:00 UTC' usr/lib/*`;
  await version(make('one', 644, 3));
  await t.envs('e');
  const at = (name: string): string => path.join(t.mount('e'), 'usr/lib', name);
  for (const name of ['content', 'mode']) utimesSync(at(name), 1000, 1000);
  await t.out(
    'e',
    'cd usr/lib; chown 33 owned device; chmod 600 device; setcap -r bare; ls -l >/dev/null',
  );
  await version(make('two', 755, 5));
  const shown = async () => ({
    contentTime: lstatSync(at('content')).mtime.toISOString(),
    modeTime: lstatSync(at('mode')).mtimeMs / 1000,
    mode: lstatSync(at('mode')).mode & 0o777,
    device: await t.out('e', 'stat -c %t:%T:%a:%u usr/lib/device'),
    capabilities: await t.out('e', 'getcap usr/lib/owned usr/lib/bare'),
    bytes: readFileSync(at('owned'), 'utf8'),
  });
  await t.patch();
  const second = {
    contentTime: '2026-01-05T00:00:00.000Z',
    modeTime: 1000,
    mode: 0o755,
    device: '1:5:600:33\n',
    capabilities: '',
    bytes: 'two\n',
  };
  expect(await shown()).toEqual(second);
  await t.rollback();
  const contentTime = '2026-01-03T00:00:00.000Z';
  const first = { ...second, contentTime, mode: 0o644, device: '1:3:600:33\n', bytes: 'one\n' };
  expect(await shown()).toEqual(first);
  writeFileSync(at('content'), 'own');
  await t.root.ok('patch', 't', '--to', '2');
  expect({ ...(await shown()), contentTime: '' }).toEqual({ ...second, contentTime: '' });
});
