import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { asUser, makeDevice, makeNode } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, readText, withFile } from '../expect.ts';

const { S_IFBLK, S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK, O_NONBLOCK, O_RDONLY, O_WRONLY } =
  fs.constants;

export const nodes: CaseGroup = {
  'mknod makes files, fifos, sockets and devices with their mode and number': ({ at }) => {
    const kinds = { f: S_IFREG, p: S_IFIFO, s: S_IFSOCK, c: S_IFCHR, b: S_IFBLK };
    for (const [name, type] of Object.entries(kinds)) {
      const isDevice = type === S_IFCHR || type === S_IFBLK;
      makeNode(at(name), type | 0o640, isDevice ? makeDevice(259, 70_000) : 0);
      const { mode, rdev, size } = fs.lstatSync(at(name));
      assert.equal(mode, type | 0o640, name);
      assert.equal(rdev, isDevice ? makeDevice(259, 70_000) : 0, name);
      assert.equal(size, 0);
    }
    fails('EEXIST', () => makeNode(at('f'), S_IFREG | 0o600));
  },

  'devices are root’s to make, fifos anyone’s': ({ at, dir }) => {
    fs.chmodSync(dir, 0o777);
    asUser({ uid: 1000, gid: 1000 }, () => {
      fails('EPERM', () => makeNode(at('c'), S_IFCHR | 0o666, makeDevice(1, 3)));
      makeNode(at('p'), S_IFIFO | 0o666);
    });
    assert.equal(fs.lstatSync(at('p')).uid, 1000);
  },

  'null and zero devices work': ({ at }) => {
    makeNode(at('null'), S_IFCHR | 0o666, makeDevice(1, 3));
    makeNode(at('zero'), S_IFCHR | 0o666, makeDevice(1, 5));
    fs.writeFileSync(at('null'), 'gone');
    withFile(at('null'), 'r', (fd) => assert.equal(readText(fd, 0, 9), ''));
    withFile(at('zero'), 'r', (fd) => assert.equal(readText(fd, 0, 3), '\0\0\0'));
  },

  'a device without a driver is ENXIO': ({ at }) => {
    makeNode(at('c'), S_IFCHR | 0o666, makeDevice(511, 511));
    fails(['ENXIO', 'ENODEV'], () => fs.openSync(at('c'), 'r'));
  },

  'a fifo passes bytes between processes': ({ at }) => {
    makeNode(at('p'), S_IFIFO | 0o600);
    const output = execFileSync('sh', [
      '-c',
      'echo through > "$1" & cat "$1"; wait',
      'sh',
      at('p'),
    ]);
    assert.equal(output.toString(), 'through\n');
    fails('ENXIO', () => fs.openSync(at('p'), O_WRONLY | O_NONBLOCK));
    const reader = fs.openSync(at('p'), O_RDONLY | O_NONBLOCK);
    withFile(at('p'), O_WRONLY, (writer) => fs.writeSync(writer, 'kept'));
    const buffer = Buffer.alloc(10);
    assert.equal(fs.readSync(reader, buffer), 4);
    fs.closeSync(reader);
  },

  'a unix socket accepts connections': async ({ at }) => {
    const server = net.createServer((socket) => socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(at('s'), resolve));
    assert.ok(fs.lstatSync(at('s')).isSocket());
    const answer = await new Promise<string>((resolve, reject) => {
      const client = net.connect(at('s'));
      client.on('data', (data) => resolve(data.toString()));
      client.on('error', reject);
    });
    assert.equal(answer, 'hello');
    await new Promise((resolve) => server.close(resolve));
    assert.equal(fs.existsSync(at('s')), false);
  },

  'nodes can be linked, renamed and removed': ({ at }) => {
    makeNode(at('c'), S_IFCHR | 0o600, makeDevice(1, 3));
    fs.linkSync(at('c'), at('d'));
    fs.renameSync(at('c'), at('e'));
    assert.deepEqual(
      [fs.statSync(at('e')).nlink, fs.statSync(at('d')).rdev],
      [2, makeDevice(1, 3)],
    );
    fs.unlinkSync(at('d'));
    fs.chmodSync(at('e'), 0o666);
    assert.equal(fs.statSync(at('e')).mode, S_IFCHR | 0o666);
  },
};
