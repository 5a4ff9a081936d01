/** The second transport proves that the core knows no wire bytes: the same suites, but for its limits. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/driver/fuse-native/limits.ts';
import { posixSuite } from '../suite/index.ts';
import { hashObjects } from '../suite/objects.ts';
import { buildFixture, runSuite, type SuiteName } from '../suite/run.ts';
import type { CaseReport } from '../suite/runner.ts';
import { templateSuite } from '../suite/template/index.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { POSIX_EXCEPTIONS, TEMPLATE_EXCEPTIONS } from './exceptions.ts';

const SET_UP_MS = 120_000;
const SUITE_TIMEOUT_MS = 300_000;
const suites = { posix: posixSuite, template: templateSuite };

let root: TestRoot;
let mountpoint: string;
let objects: ReadonlyMap<string, string>;

beforeAll(async () => {
  root = await TestRoot.create();
  // The suites act as other users too, who have to get through.
  fs.chmodSync(root.base, 0o755);
  for (const kind of ['os', 'app'] as const) {
    const source = root.directory(`source-${kind}`);
    await buildFixture(kind, source);
    await root.import(kind, source, kind);
  }
  objects = hashObjects(root.path);
  await root.create('env', 'os', 'app');
  const open = ['--allow-users', '-o', 'suid,dev'];
  mountpoint = await root.mount('env', '--transport', 'fuse-native', ...open);
}, SET_UP_MS);

afterAll(() => root.dispose(), SET_UP_MS);

test('info says which transport serves the env', async () => {
  expect(await root.info('env')).toMatchObject({ transport: 'fuse-native', passthrough: false });
});

test('the lists of exceptions name limits that are documented, and cases that exist', () => {
  const limits = new Set(LIMITS.map(({ name }) => name));
  const known = new Set([...posixSuite.keys(), ...templateSuite.keys()]);
  for (const list of [POSIX_EXCEPTIONS, TEMPLATE_EXCEPTIONS]) {
    expect(Object.keys(list).filter((name) => !limits.has(name))).toEqual([]);
    expect(
      Object.values(list)
        .flat()
        .filter((name) => !known.has(name)),
    ).toEqual([]);
  }
});

describe('fresh files', () =>
  declareExcept('posix', POSIX_EXCEPTIONS, () => {
    const dir = path.join(mountpoint, 'home');
    return sh('mkdir -p "$1"', [dir]).then(() => dir);
  }));

describe('files of templates', () =>
  declareExcept('template', TEMPLATE_EXCEPTIONS, () => Promise.resolve(mountpoint)));

test('no object changed', () => {
  expect(hashObjects(root.path)).toEqual(objects);
});

/** One test per case: an exception must fail, all others must pass. */
function declareExcept(
  suite: SuiteName,
  exceptions: typeof POSIX_EXCEPTIONS,
  directory: () => Promise<string>,
): void {
  const limitOf = new Map(
    Object.entries(exceptions).flatMap(([limit, names]) => names.map((name) => [name, limit])),
  );
  let reports: ReadonlyMap<string, CaseReport>;
  beforeAll(async () => {
    reports = await runSuite(suite, await directory());
  }, SUITE_TIMEOUT_MS);
  for (const name of suites[suite].keys()) {
    const limit = limitOf.get(name);
    test(limit === undefined ? name : `can't, for ${limit}: ${name}`, () => {
      const report = reports.get(name);
      if (!report) expect.fail('did not run: an earlier case hung or ended the process');
      if (limit === undefined) expect(report.error).toBeNull();
      else expect(report.error, 'passes: take it off the list').not.toBeNull();
    });
  }
}
