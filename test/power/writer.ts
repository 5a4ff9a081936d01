/**
 * Writes files in mounted envs and syncs them, each in one way; `writer.ts MNT ENV...`, and the
 * env's name says which. A process of its own, since it touches mounts. The file names and bytes are in expected.ts.
 */
import fs from 'node:fs';
import path from 'node:path';
import { store, writeWithFlags } from '../model/sync-write.ts';
import { O_TMPFILE } from '../syscalls/constants.ts';
import { open } from '../syscalls/index.ts';
import { BLOCK, NEW_FILES, SYNCED, TEMPLATE_FILES } from './expected.ts';

const { O_CREAT, O_DSYNC, O_RDWR, O_SYNC, O_WRONLY } = fs.constants;
const RWF_DSYNC = 2;
const RWF_SYNC = 4;

type Way = (file: string, flags: number, offset: number) => void;

/** Opens the file, and writes SYNCED at `offset` by `write`. */
function writing(openFlags: number, write: (fd: number, offset: number) => void): Way {
  return (file, flags, offset) => {
    const fd = open(file, flags | openFlags);
    write(fd, offset);
    fs.closeSync(fd);
  };
}

const plain = (fd: number, offset: number): void => {
  fs.writeSync(fd, SYNCED, 0, SYNCED.length, offset);
};

const withFlags =
  (flags: number) =>
  (fd: number, offset: number): void =>
    writeWithFlags(fd, SYNCED, offset, flags);

const WAYS: Record<string, Way> = {
  'o-sync': writing(O_WRONLY | O_SYNC, plain),
  'o-dsync': writing(O_RDWR | O_DSYNC, plain),
  'rwf-sync': writing(O_WRONLY, withFlags(RWF_SYNC)),
  'rwf-dsync': writing(O_RDWR, withFlags(RWF_DSYNC)),
  msync: writing(O_RDWR, (fd, offset) => store(fd, SYNCED, offset)),
  fsync: writing(O_WRONLY, (fd, offset) => {
    plain(fd, offset);
    fs.fsyncSync(fd);
  }),
};

/** What is done beside: none of it may come in the way of what was synced. */
function around(at: (name: string) => string, way: Way): void {
  const temporary = at('etc/temporary');
  fs.writeFileSync(temporary, '');
  fs.chmodSync(temporary, 0o600);
  way(temporary, 0, 0);
  fs.renameSync(temporary, at('etc/renamed'));
  const removed = open(at('etc/removed'), O_RDWR | O_CREAT);
  fs.unlinkSync(at('etc/removed'));
  way(`/proc/self/fd/${String(removed)}`, 0, 0);
  fs.closeSync(removed);
  const nameless = open(at('etc'), O_RDWR | O_TMPFILE, 0o600);
  way(`/proc/self/fd/${String(nameless)}`, 0, 0);
  fs.closeSync(nameless);
}

const [, , mnt = '', ...envs] = process.argv;
for (const env of envs) {
  const way = Object.entries(WAYS).find(([name]) => env.startsWith(`${name}-`))?.[1];
  if (way === undefined) throw new Error(`no way for ${env}`);
  const at = (name: string): string => path.join(mnt, env, name);
  for (const file of NEW_FILES) {
    fs.mkdirSync(path.dirname(at(file)), { recursive: true, mode: 0o750 });
    way(at(file), O_CREAT, 0);
  }
  for (const file of TEMPLATE_FILES) way(at(file), 0, BLOCK);
  around(at, way);
}
