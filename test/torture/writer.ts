/**
 * Changes files at random in a directory, and checks after each change that they are what they should be. It is a program of
 * its own, because a driver may be killed below it at any moment: a call then waits, and must not fail.
 *
 *   writer.ts DIRECTORY SEED SECONDS
 *
 * Prints the number of calls at the end; at a difference, says which, and exits with 1.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { randomOf } from '../support/machine/random.ts';

const [dir = '', seed = '1', seconds = '10'] = process.argv.slice(2);
const below = randomOf(Number(seed));
const oneOf = <T>(values: readonly T[]): T => values[below(values.length)]!;
const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));
let calls = 0;

/** A file as it should be; several names may lead to it. */
interface File {
  content: Buffer;
  mode: number;
  nlink: number;
}

/** An open file, whose names may be gone. */
interface Open {
  readonly fd: number;
  readonly file: File;
  readonly appends: boolean;
}

const files = new Map<string, File>();
const dirs: string[] = [''];
const open: Open[] = [];
const OPEN_MAX = 12;
const FILES_MAX = 60;
const SIZE_MAX = 100_000;

const at = (name: string): string => path.join(dir, name);
const newName = (): string => path.join(oneOf(dirs), `n${below(90)}`);
const isFree = (name: string): boolean => !files.has(name) && !dirs.includes(name);
const someFile = (): string | undefined =>
  files.size === 0 ? undefined : oneOf([...files.keys()]);

function create(): void {
  const name = newName();
  if (!isFree(name) || files.size >= FILES_MAX) return;
  const file = { content: bytes(below(9000)), mode: 0o644, nlink: 1 };
  const fd = fs.openSync(
    at(name),
    fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
    0o644,
  );
  fs.writeSync(fd, file.content);
  files.set(name, file);
  keep({ fd, file, appends: false });
}

function keep(opened: Open): void {
  open.push(opened);
  if (open.length > OPEN_MAX) fs.closeSync(open.splice(below(open.length), 1)[0]!.fd);
}

function openOne(): void {
  const name = someFile();
  if (name === undefined) return;
  const appends = below(2) === 0;
  const { O_APPEND, O_RDWR } = fs.constants;
  const fd = fs.openSync(at(name), O_RDWR | (appends ? O_APPEND : 0));
  keep({ fd, file: files.get(name)!, appends });
}

/** A file that has no name until it gets one. */
function temporary(): void {
  const name = newName();
  if (!isFree(name) || files.size >= FILES_MAX) return;
  const O_TMPFILE = 0o20200000;
  const fd = fs.openSync(at(path.dirname(name)), O_TMPFILE | fs.constants.O_RDWR, 0o600);
  const file = { content: bytes(below(3000)), mode: 0o600, nlink: 0 };
  fs.writeSync(fd, file.content);
  keep({ fd, file, appends: false });
}

function write(): void {
  if (open.length === 0) return;
  const { fd, file, appends } = oneOf(open);
  const data = bytes(1 + below(5000));
  const offset = appends ? file.content.length : below(file.content.length + 1000);
  if (offset + data.length > SIZE_MAX) return;
  assert.equal(fs.writeSync(fd, data, 0, data.length, appends ? null : offset), data.length);
  const content = Buffer.alloc(Math.max(file.content.length, offset + data.length));
  file.content.copy(content);
  data.copy(content, offset);
  file.content = content;
  if (below(4) === 0) fs.fsyncSync(fd);
}

function truncate(): void {
  if (open.length === 0) return;
  const { fd, file } = oneOf(open);
  const size = below(file.content.length + 500);
  fs.ftruncateSync(fd, size);
  const content = Buffer.alloc(size);
  file.content.copy(content);
  file.content = content;
}

function remove(): void {
  const name = someFile();
  if (name === undefined) return;
  fs.unlinkSync(at(name));
  files.get(name)!.nlink--;
  files.delete(name);
}

function link(): void {
  const [name, other] = [someFile(), newName()];
  if (name === undefined || !isFree(other)) return;
  fs.linkSync(at(name), at(other));
  files.get(name)!.nlink++;
  files.set(other, files.get(name)!);
}

function rename(): void {
  const [name, other] = [someFile(), newName()];
  if (name === undefined || dirs.includes(other) || name === other) return;
  fs.renameSync(at(name), at(other));
  const [file, replaced] = [files.get(name)!, files.get(other)];
  if (file === replaced) return;
  if (replaced !== undefined) replaced.nlink--;
  files.set(other, file);
  files.delete(name);
}

function makeDir(): void {
  const name = newName();
  if (!isFree(name) || dirs.length > 8 || name.split('/').length > 3) return;
  fs.mkdirSync(at(name));
  dirs.push(name);
}

function removeDir(): void {
  const name = oneOf(dirs);
  const isUsed = [...files.keys(), ...dirs].some((each) => each.startsWith(`${name}/`));
  if (name === '' || isUsed) return;
  fs.rmdirSync(at(name));
  dirs.splice(dirs.indexOf(name), 1);
}

function symlink(): void {
  const name = newName();
  if (!isFree(name)) return;
  fs.symlinkSync('somewhere', at(name));
  assert.equal(fs.readlinkSync(at(name)), 'somewhere');
  fs.unlinkSync(at(name));
}

function changeMode(): void {
  const name = someFile();
  if (name === undefined) return;
  const mode = oneOf([0o600, 0o644, 0o640, 0o755]);
  fs.chmodSync(at(name), mode);
  files.get(name)!.mode = mode;
}

function list(): void {
  const name = oneOf(dirs);
  const expected = [...files.keys(), ...dirs.filter((each) => each !== '')]
    .filter((each) => path.dirname(each) === (name === '' ? '.' : name))
    .map((each) => path.basename(each));
  assert.deepEqual(
    fs.readdirSync(at(name)).filter(isOurs).sort(),
    expected.sort(),
    `list of ${name}`,
  );
}

const isOurs = (name: string): boolean => /^n\d+$/.test(name);

function check(): void {
  const name = someFile();
  if (name !== undefined) {
    const file = files.get(name)!;
    same(fs.readFileSync(at(name)), file.content, name);
    const { mode, nlink, size } = fs.statSync(at(name));
    assert.deepEqual(
      [mode & 0o7777, nlink, size],
      [file.mode, file.nlink, file.content.length],
      `stat of ${name}`,
    );
  }
  if (open.length === 0) return;
  const { fd, file } = oneOf(open);
  const read = Buffer.alloc(file.content.length + 1);
  same(read.subarray(0, fs.readSync(fd, read, 0, read.length, 0)), file.content, 'an open file');
  assert.equal(fs.fstatSync(fd).nlink, file.nlink, 'links of an open file');
}

function same(is: Buffer, should: Buffer, what: string): void {
  if (is.equals(should)) return;
  const first = is.findIndex((byte, i) => byte !== should[i]);
  assert.fail(`${what}: ${is.length} bytes for ${should.length}, other from ${first} on`);
}

const ways = [
  create,
  create,
  openOne,
  openOne,
  temporary,
  write,
  write,
  write,
  truncate,
  remove,
  link,
  rename,
];
const all = [...ways, rename, makeDir, removeDir, symlink, changeMode, list, check, check, check];

const deadline = Date.now() + Number(seconds) * 1000;
while (Date.now() < deadline) {
  const way = oneOf(all);
  try {
    way();
  } catch (error) {
    console.error(`call ${calls}, ${way.name}: ${(error as Error).message}`);
    process.exit(1);
  }
  calls++;
}
console.log(calls);
