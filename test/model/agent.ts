/**
 * `agent.ts`: does the steps of a history on a real directory, one JSON line in, one out. It is a
 * process of its own, so that a file system that hangs does not hang the test.
 */
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { removeXattr, renameWith, setTimes, setXattr } from '../syscalls/index.ts';
import type { Operation, Outcome } from './operation.ts';
import { snapshot } from './snapshot.ts';

/** A request: a step in a directory, or the directory's snapshot. */
export type Request =
  | { readonly dir: string; readonly step: Operation }
  | { readonly dir: string; readonly snapshot: true };

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY, O_APPEND } = fs.constants;
const slots = new Map<number, number>();

function withFile(file: string, flags: number, action: (fd: number) => void): null {
  const fd = fs.openSync(file, flags, 0o644);
  try {
    action(fd);
  } finally {
    fs.closeSync(fd);
  }
  return null;
}

function writeAll(fd: number, text: string, offset: number | null): void {
  const bytes = Buffer.from(text);
  fs.writeSync(fd, bytes, 0, bytes.length, offset);
}

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

function readWhole(fd: number): string {
  const buffer = Buffer.alloc(fs.fstatSync(fd).size);
  return buffer.toString('utf8', 0, fs.readSync(fd, buffer, 0, buffer.length, 0));
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
    case 'truncate':
      return fs.truncateSync(at(step.path), step.size);
    case 'read': {
      const fd = fs.openSync(at(step.path), O_RDONLY);
      try {
        if (fs.fstatSync(fd).isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
        return readWhole(fd);
      } finally {
        fs.closeSync(fd);
      }
    }
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
    case 'open':
    case 'openRead': {
      if (slots.has(step.slot)) close(step.slot);
      const fd = fs.openSync(at(step.path), step.op === 'open' ? O_RDWR : O_RDONLY);
      if (!fs.fstatSync(fd).isDirectory()) return void slots.set(step.slot, fd);
      fs.closeSync(fd);
      throw Object.assign(new Error(), { code: 'EISDIR' });
    }
    case 'pread':
      return readWhole(fdOf(step.slot));
    case 'fstat': {
      const { nlink, mode, uid, size } = fs.fstatSync(fdOf(step.slot));
      return { nlink, mode: mode & 0o7777, uid, size };
    }
    case 'pwrite':
      return writeAll(fdOf(step.slot), step.text, step.offset);
    case 'ftruncate':
      return fs.ftruncateSync(fdOf(step.slot), step.size);
    case 'close':
      return close(step.slot);
    case 'remount':
    case 'kill':
      // The mount itself is the test's to renew; here is only what would keep it busy.
      for (const slot of [...slots.keys()]) close(slot);
      return null;
  }
}

function answer(request: Request): Outcome {
  try {
    if ('snapshot' in request) return { value: snapshot(request.dir) };
    return { value: perform(request.dir, request.step) ?? null };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { error: code };
  }
}

process.umask(0o022);
createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line) as Request))}\n`);
});
