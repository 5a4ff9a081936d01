/** Health commands run programs of an env, which may be anybody's: they reach the env and the network, and nothing else. */
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';
import { output, sh } from '../support/machine/program.ts';

let t: PatchRoot;
let tree: string;
let versions = 0;

beforeAll(async () => {
  t = await PatchRoot.create();
  tree = t.root.directory('hostile');
  for (const dir of ['bin', 'etc', 'dev', 'proc', 'sys', 'mnt', 'tmp'])
    mkdirSync(path.join(tree, dir));
  const source = path.join(import.meta.dirname, 'hostile.c');
  await output('gcc', ['-static', '-O1', '-o', path.join(tree, 'bin/sh'), source]);
  await output('mknod', [path.join(tree, 'etc/kmsg'), 'c', '1', '11']);
  await next();
  await t.envs('e');
});
afterAll(() => t.dispose());

async function next(): Promise<void> {
  writeFileSync(path.join(tree, 'etc/version'), String(++versions));
  await t.root.import('t', tree);
}

test('a hostile shell gets the network, /dev and /proc, and nothing of the machine', async () => {
  const file = path.join(t.root.directory('machine'), 'file');
  writeFileSync(file, '');
  const victim = t.root.background('exec sleep 100');
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // The machine's own, mounted there by somebody: that is not the check's either.
  await output('mount', ['-t', 'proc', 'proc', path.join(t.mount('e'), 'proc')]);
  try {
    await next();
    const command = [file, t.root.path, victim.pid, port].join(' ');
    const { stdout } = await t.root.byref(
      ...['patch', 't', '--json', '--canary', 'e', '--health', command, '--health-retries', '0'],
    );
    const { state, note } = JSON.parse(stdout) as PatchRecord;
    expect({ state, note }).toEqual({ state: 'done', note: '' });
  } finally {
    server.close();
    await output('umount', [path.join(t.mount('e'), 'proc')]);
  }
  expect(readFileSync(file, 'utf8')).toBe('');
  expect(victim.exitCode ?? victim.signalCode).toBeNull();
});

test('what does not end is ended with all that it started, wherever it hid', async () => {
  await next();
  const command = `linger ${process.pid}`;
  const { code, stderr } = await t.root.byref(
    ...['patch', 't', '--canary', 'e', '--health', command, '--health-timeout', '0.3s'],
    ...['--health-retries', '0'],
  );
  expect([code, stderr]).toEqual([EXIT.unhealthy, expect.stringContaining('no end after 0.3 s')]);
  const left = async (): Promise<string> =>
    (await sh(`pgrep -f '^/bin/sh -c ${command}$' || :`)).stdout;
  await expect.poll(left).toBe('');
});
