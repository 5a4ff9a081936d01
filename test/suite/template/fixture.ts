import fs from 'node:fs';
import path from 'node:path';
import {
  type AclEntry,
  makeDevice,
  makeNode,
  setAcl,
  setTimes,
  setXattr,
} from '../../syscalls/index.ts';

/** What the files of a provisioned tree hold. */
export const TEXT = 'text of the template\n';
export const BIG_SIZE = (1 << 20) + 123;
export const SPARSE_SIZE = 4 << 20;
export const FULL_COUNT = 60;
export const OLD_TIME = { sec: 1_600_000_000, nsec: 123_456_789 };
export const OLD_TIME_NS = 1_600_000_000_123_456_789n;
export const ODD_NAME = Buffer.of(0x6e, 0xff, 0xfe, 0x80);
export const TREE_ACL: readonly AclEntry[] = [
  ['user', 6],
  ['namedUser', 4, 1000],
  ['group', 4],
  ['mask', 4],
  ['other', 0],
];

/** The path of a name that may not be UTF-8. */
export const inDir = (dir: string, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${dir}/`), name]);

/** Byte at `offset` of the file `big`. */
export const bigByte = (offset: number): number => (offset * 7 + (offset >> 12)) & 0xff;

export const bigBytes = (): Buffer =>
  Buffer.from(Uint8Array.from({ length: BIG_SIZE }, (_, i) => bigByte(i)));

/**
 * A small tree with one of everything. Each template case has one of its own, since a template file is
 * only once unchanged.
 */
export function makeTree(dir: string): void {
  const at = (...names: string[]): string => path.join(dir, ...names);
  fs.mkdirSync(at('sub', 'deep'), { recursive: true });
  fs.mkdirSync(at('full'));
  fs.mkdirSync(at('hollow'));
  for (const name of ['file', 'other', 'sub/one', 'sub/deep/leaf', 'hard-a', 'set-id']) {
    fs.writeFileSync(at(name), TEXT);
  }
  for (let i = 0; i < FULL_COUNT; i++) fs.writeFileSync(at('full', `entry-${i}`), `${i}`);
  fs.writeFileSync(at('big'), bigBytes());
  fs.writeFileSync(at('none'), '');
  fs.copyFileSync('/bin/sleep', at('program'));
  fs.chmodSync(at('program'), 0o755);
  fs.linkSync(at('hard-a'), at('hard-b'));
  fs.linkSync(at('hard-a'), at('sub', 'hard-c'));
  fs.symlinkSync('file', at('link'));
  fs.symlinkSync('/nowhere', at('dangling'));
  fs.writeFileSync(inDir(dir, ODD_NAME), TEXT);
  makeNode(at('fifo'), fs.constants.S_IFIFO | 0o600);
  makeNode(at('null'), fs.constants.S_IFCHR | 0o666, makeDevice(1, 3));
  fs.chownSync(at('set-id'), 1000, 1000);
  fs.chmodSync(at('set-id'), 0o6755);
  makeSparse(at('sparse'));
  setXattr(at('file'), 'user.origin', 'template');
  fs.writeFileSync(at('acl'), TEXT);
  setAcl(at('acl'), 'access', TREE_ACL);
  for (const name of fs.readdirSync(dir, 'buffer'))
    setTimes(inDir(dir, name), OLD_TIME, OLD_TIME, true);
}

/** Data at 1 MiB, holes around. */
function makeSparse(file: string): void {
  const fd = fs.openSync(file, 'w');
  fs.writeSync(fd, 'data', 1 << 20);
  fs.ftruncateSync(fd, SPARSE_SIZE);
  fs.closeSync(fd);
}

/** What an app template adds to, and replaces in, the tree of a merged case. */
export function makeAppTree(dir: string): void {
  const at = (...names: string[]): string => path.join(dir, ...names);
  fs.mkdirSync(at('sub', 'app'), { recursive: true });
  fs.writeFileSync(at('file'), 'of the app');
  fs.writeFileSync(at('sub', 'added'), 'added by the app');
  fs.writeFileSync(at('sub', 'app', 'leaf'), 'leaf of the app');
}
