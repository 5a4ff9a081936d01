/** A mount where no, or hardly any, further process may be started. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestRoot } from '../support/machine/root.ts';

const CASE_MS = 60_000;
/** With fewer Node itself can't start; with the first a driver can't, with the last it can. */
const LIMITS = [12, 14, 20];

const hierarchy = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
const group = path.join(hierarchy, `byref-test-${process.pid}`);
const procs = path.join(group, 'cgroup.procs');

let root: TestRoot;
beforeAll(async () => {
  root = await TestRoot.create();
  await root.import('t', root.directory('source'));
  await root.create('e', 't');
  mkdirSync(group);
});
afterAll(async () => {
  await root.dispose();
  rmdirSync(group);
});

test(
  'what was started and did not get going ends, and the reason is told',
  async () => {
    let refused = 0;
    for (const limit of LIMITS) {
      writeFileSync(path.join(group, 'pids.max'), String(limit));
      const { code, stderr } = await root.shell(`echo $$ >${procs}; exec "$1" mount e`, '/');
      if (code === 0) {
        await root.umount('e');
        continue;
      }
      refused++;
      expect(stderr).toMatch(/ did not start: .+/);
      expect(stderr).toContain(`refused a process or thread: the control group may have ${limit}`);
      await expect.poll(() => readFileSync(procs, 'utf8'), { timeout: 5000 }).toBe('');
      expect(root.processes()).toEqual([]);
    }
    expect(refused).toBeGreaterThan(0);
  },
  CASE_MS,
);
