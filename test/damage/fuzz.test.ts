/**
 * Random damage to what is on disk: bits, pages, lengths and structure of the store, link tables, journals and objects. Each
 * is told; no process dies or hangs of it, and none calls it a bug of its own. scripts/soak.sh tries a thousand.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { NO_SETTINGS } from '../../src/codec/env-settings.ts';
import { DATA_PRIVATE } from '../../src/codec/inode-record.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { native } from '../../src/native/binding.ts';
import { noteDelta } from '../../src/store/delta-marks.ts';
import { envDir, initRoot, openStore } from '../../src/store/store.ts';
import { inode, name, open } from '../delta/open-env.ts';
import { runByref } from '../support/machine/program.ts';
import { copyRoot } from './harms.ts';

const SOAK = process.env['BYREF_SOAK'];
const CASES = SOAK === undefined ? 24 : 50 * Number(SOAK);
/** In the suite the same ones each time; a soak goes on from where the time is. */
const FIRST = SOAK === undefined ? 1 : Math.floor(Date.now() / 1000);
const HANG_MS = 60_000;
const PROBE = path.join(import.meta.dirname, 'fuzz-probe.ts');

let base: string;

async function byref(...words: string[]): Promise<void> {
  const { code, stderr } = await runByref(words);
  expect(code, stderr).toBe(0);
}

const pristine = (): string => path.join(base, 'pristine');

function fill(delta: EnvDelta, stem: string): void {
  for (let i = 0; i < 60; i++) {
    const number = delta.allocate();
    const fd = delta.files.createPrivate(number);
    const bytes = Buffer.from(`content of ${stem}${i}`);
    native.pwrite(fd, bytes, 0, bytes.length, 0);
    native.close(fd);
    const change = delta.begin();
    change.setName(ROOT_INO, name(`${stem}${i}`), number, S_IFREG);
    change.setInode(inode(number, { data: DATA_PRIVATE }));
    if (delta.commit() < 0) throw new Error('not committed');
  }
}

/** Three envs: with a link table; with one, and a journal as kill -9 leaves it; without either. */
beforeAll(async () => {
  base = mkdtempSync(path.join(tmpdir(), 'byref-fuzz-'));
  const tree = path.join(base, 'tree');
  mkdirSync(path.join(tree, 'etc'), { recursive: true });
  for (const file of ['f1', 'f2', 'etc/f3', 'etc/f4']) writeFileSync(path.join(tree, file), file);
  const root = path.join(base, 'root');
  await initRoot(root, { shards: 2 });
  await byref('template', 'import', 'os', tree, '--root', root);
  for (const env of ['e1', 'e2', 'e3']) await byref('create', env, '--os', 'os', '--root', root);
  // A row that is too long for a page.
  const store = await openStore(root, { write: true });
  store.putSettings(1, { ...NO_SETTINGS, environment: { LONG: 'x'.repeat(9000) } });
  await store.close();
  for (const id of [1, 2]) {
    mkdirSync(envDir(root, id), { recursive: true });
    const delta = await open(envDir(root, id));
    fill(delta, 'a');
    await delta.checkpoint();
    if (id === 2) fill(delta, 'b');
    noteDelta(root, id);
    if (id === 2) copyRoot(root, pristine());
    await delta.close();
  }
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Case {
  readonly seed: number;
  readonly to: string;
  readonly how: string;
  readonly class: string;
  readonly bugs?: readonly string[];
}

/** Runs cases until all are done, or one ends the process. */
function runFrom(first: number, last: number): Promise<Case[]> {
  return new Promise((resolve, reject) => {
    const scratch = mkdtempSync(path.join(base, 'scratch-'));
    const args = ['--import', 'tsx', PROBE, pristine(), scratch, String(first), String(last)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let errors = '';
    let watchdog = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    let isHung = true;
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString();
      clearTimeout(watchdog);
      watchdog = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    });
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      isHung = signal === 'SIGKILL';
      const lines = out.split('\n').filter((line) => line !== '');
      const done = lines.flatMap((line) =>
        line.startsWith('end ') ? [JSON.parse(line.slice(4)) as Case] : [],
      );
      const [, seed = '', harmed = ''] = /^begin (\d+) (.*)$/.exec(lines.at(-1) ?? '') ?? [];
      if (seed !== '') {
        const what = isHung ? 'hang' : 'signal';
        const bugs = [`exit ${code} ${signal}`, errors];
        done.push({ ...(JSON.parse(harmed) as Case), seed: Number(seed), class: what, bugs });
      }
      if (done.length === 0) reject(new Error(`exit ${code} ${signal}: ${errors}`));
      else resolve(done);
    });
  });
}

test('is told, and ends or hangs nothing', { timeout: 7_200_000 }, async () => {
  const cases: Case[] = [];
  for (let next = FIRST; next < FIRST + CASES; next = cases.at(-1)!.seed + 1)
    cases.push(...(await runFrom(next, FIRST + CASES - 1)));
  const counts = new Map<string, number>();
  for (const { to, how, class: what } of cases)
    for (const key of [what, `${to} ${how} ${what}`]) counts.set(key, (counts.get(key) ?? 0) + 1);
  const table = [...counts].sort().map(([key, count]) => `${key}: ${count}`);
  if (SOAK !== undefined) process.stdout.write(`${table.join('\n')}\n`);
  const good: readonly string[] = ['told', 'none'];
  const bad = cases.filter(({ class: what }) => !good.includes(what));
  expect(bad, table.join('\n')).toEqual([]);
});
