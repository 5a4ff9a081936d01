/**
 * `agent.ts`: does the steps of a history on a real directory, one JSON line in, one out. It is a
 * process of its own, so that a file system that hangs does not hang the test.
 */
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ESTALE } from '../../src/base/errno.ts';
import { removeXattr, renameWith, setAcl, setTimes, setXattr } from '../syscalls/index.ts';
import { aclFor } from './acl.ts';
import { type Operation, type Outcome, SED } from './operation.ts';
import { snapshot } from './snapshot.ts';
import { syncWrite } from './sync-write.ts';

/** A request: a step in a directory, or the directory's snapshot. */
export type Request =
  | { readonly dir: string; readonly step: Operation }
  | { readonly dir: string; readonly snapshot: true };

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY, O_APPEND, O_TRUNC, O_DIRECTORY } =
  fs.constants;
const { S_IFMT, S_IFREG } = fs.constants;
const slots = new Map<number, number>();

function withFile<T>(file: string, flags: number, action: (fd: number) => T): T {
  const fd = fs.openSync(file, flags, 0o644);
  try {
    return action(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function writeAll(fd: number, text: string, offset: number | null): void {
  const bytes = Buffer.from(text);
  fs.writeSync(fd, bytes, 0, bytes.length, offset);
  if (text === '') touch(fd);
}

/**
 * An open for writing that writes nothing leaves nothing, from a moment on that only the kernel knows; the histories of
 * test/fs have that. Here it is a change at once.
 */
const touch = (fd: number): void => fs.fchmodSync(fd, fs.fstatSync(fd).mode & 0o7777);

function fdOf(slot: number): number {
  const fd = slots.get(slot);
  if (fd === undefined) throw Object.assign(new Error('no such slot'), { code: 'EBADF' });
  return fd;
}

function close(slot: number): null {
  fs.closeSync(fdOf(slot));
  slots.delete(slot);
  return null;
}

function closeAll(): null {
  for (const slot of [...slots.keys()]) close(slot);
  return null;
}

/** The path that leads to what a slot has open. */
const through = (slot: number): string => `/proc/self/fd/${fdOf(slot)}`;

const OPEN_FLAGS = { open: O_RDWR, openRead: O_RDONLY, openDir: O_RDONLY | O_DIRECTORY };

function openSlot(file: string, { op, slot }: { op: keyof typeof OPEN_FLAGS; slot: number }): null {
  if (slots.has(slot)) close(slot);
  const fd = fs.openSync(file, OPEN_FLAGS[op]);
  if (op === 'open') touch(fd);
  if (fs.fstatSync(fd).isDirectory() === (op === 'openDir')) slots.set(slot, fd);
  else {
    fs.closeSync(fd);
    throw Object.assign(new Error(), { code: 'EISDIR' });
  }
  return null;
}

function readWhole(fd: number): string {
  const stat = fs.fstatSync(fd);
  if (stat.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
  const buffer = Buffer.alloc(stat.size);
  return buffer.toString('utf8', 0, fs.readSync(fd, buffer, 0, buffer.length, 0));
}

function sed(file: string): void {
  const { mode, uid, gid } = fs.lstatSync(file);
  if ((mode & S_IFMT) !== S_IFREG) throw Object.assign(new Error(), { code: 'EINVAL' });
  const made = path.join(path.dirname(file), SED);
  const text = fs.readFileSync(file, 'utf8');
  withFile(made, O_CREAT | O_EXCL | O_WRONLY, (fd) => {
    writeAll(fd, text, 0);
    fs.fchownSync(fd, uid, gid);
    fs.fchmodSync(fd, mode & 0o7777);
  });
  fs.renameSync(made, file);
}

function perform(dir: string, step: Operation): unknown {
  const at = (name: string): string => path.join(dir, name);
  switch (step.op) {
    case 'create':
      return withFile(at(step.path), O_CREAT | O_EXCL | O_WRONLY, (fd) =>
        writeAll(fd, step.text, 0),
      );
    case 'write':
      return withFile(at(step.path), O_RDWR, (fd) => writeAll(fd, step.text, step.offset));
    case 'append':
      return withFile(at(step.path), O_WRONLY | O_APPEND, (fd) => writeAll(fd, step.text, null));
    case 'rewrite':
      return withFile(at(step.path), O_WRONLY | O_TRUNC, (fd) => writeAll(fd, step.text, 0));
    case 'syncWrite':
      syncWrite(at(step.path), step);
      return step.text === '' ? withFile(at(step.path), O_RDWR, touch) : null;
    case 'truncate':
      return fs.truncateSync(at(step.path), step.size);
    case 'read':
      return withFile(at(step.path), O_RDONLY, readWhole);
    case 'mkdir':
      return fs.mkdirSync(at(step.path), { mode: 0o755 });
    case 'unlink':
      return fs.unlinkSync(at(step.path));
    case 'rmdir':
      return fs.rmdirSync(at(step.path));
    case 'readdir':
      return fs.readdirSync(at(step.path)).sort();
    case 'readlink':
      return fs.readlinkSync(at(step.path));
    case 'symlink':
      return fs.symlinkSync(step.target, at(step.path));
    case 'link':
      return fs.linkSync(at(step.path), at(step.to));
    case 'rename':
      return void renameWith(at(step.path), at(step.to), step.flags);
    case 'chmod':
      return fs.chmodSync(at(step.path), step.mode);
    case 'chown':
      return fs.lchownSync(at(step.path), step.uid, step.gid);
    case 'utimes': {
      const time = { sec: step.seconds, nsec: step.nsec };
      return setTimes(at(step.path), time, time, true);
    }
    case 'setxattr':
      return setXattr(at(step.path), step.name, step.value);
    case 'removexattr':
      return removeXattr(at(step.path), step.name);
    case 'setfacl': {
      const { mode } = fs.lstatSync(at(step.path));
      if ((mode & S_IFMT) !== S_IFREG) throw Object.assign(new Error(), { code: 'EINVAL' });
      return setAcl(at(step.path), 'access', aclFor(mode, step.mask));
    }
    case 'sed':
      return sed(at(step.path));
    case 'open':
    case 'openRead':
    case 'openDir':
      return openSlot(at(step.path), step);
    case 'pread':
      return readWhole(fdOf(step.slot));
    case 'fstat': {
      const stat = fs.fstatSync(fdOf(step.slot));
      const { nlink, mode, uid, size } = stat;
      return { nlink, mode: mode & 0o7777, uid, size: stat.isDirectory() ? 0 : size };
    }
    case 'pwrite':
      return writeAll(fdOf(step.slot), step.text, step.offset);
    case 'ftruncate':
      return fs.ftruncateSync(fdOf(step.slot), step.size);
    case 'reopen':
      return withFile(through(step.slot), O_WRONLY, (fd) => writeAll(fd, step.text, 0));
    case 'fchmod':
      return fs.fchmodSync(fdOf(step.slot), step.mode);
    case 'fchown':
      return fs.fchownSync(fdOf(step.slot), step.uid, step.gid);
    case 'list':
      return fs.readdirSync(through(step.slot)).sort();
    case 'readAt':
      return withFile(path.join(through(step.slot), step.name), O_RDONLY, readWhole);
    case 'mkdirAt':
      return fs.mkdirSync(path.join(through(step.slot), step.name), { mode: 0o755 });
    case 'close':
      return close(step.slot);
    case 'look':
      return null;
    case 'dropCaches':
      return fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
    case 'flip':
      // The templates are the test's to change.
      return step.env === 'mounted' ? null : closeAll();
    case 'remount':
    case 'kill':
      // The mount itself is the test's to renew; here is only what would keep it busy.
      return closeAll();
  }
}

function answer(request: Request): Outcome {
  try {
    if ('snapshot' in request) return { value: snapshot(request.dir) };
    return { value: perform(request.dir, request.step) ?? null };
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    // Node.js has no name for it.
    return { error: errno === -ESTALE ? 'ESTALE' : code };
  }
}

process.umask(0o022);
createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line) as Request))}\n`);
});
