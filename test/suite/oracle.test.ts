/** The suites are right if the file system everybody trusts passes them. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe } from 'vitest';
import { declareSuite } from './declare.ts';
import { buildFixture } from './run.ts';

const dirs: string[] = [];
const directory = (): string => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'byref-oracle-'));
  fs.chmodSync(dir, 0o755);
  dirs.push(dir);
  return dir;
};

afterAll(() => {
  for (const dir of dirs) fs.rmSync(dir, { recursive: true });
});

describe('a local file system, fresh files', () => declareSuite('posix', directory));

describe('a local file system, trees that were there', () =>
  declareSuite('template', async () => {
    const dir = directory();
    await buildFixture('os', dir);
    await buildFixture('app', dir);
    return dir;
  }));
