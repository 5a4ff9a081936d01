import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestRoot } from '../support/machine/root.ts';
import { declareSuite } from './declare.ts';
import { hashObjects } from './objects.ts';
import { buildFixture } from './run.ts';

const SET_UP_MS = 120_000;

/** An env of an OS and an app template, as the declared suites find it. */
export interface MountedEnv {
  readonly mountpoint: () => string;
  /** Makes a directory in it. */
  readonly fresh: (name: string) => () => string;
}

/**
 * Declares the set-up of an env that is mounted with these options, what `declare` declares on it, and
 * at the end that every object is as it was.
 * @param settings as `byref set` takes them
 */
export function declareEnv(
  mountOptions: readonly string[],
  settings: readonly string[],
  declare: (env: MountedEnv) => void,
): void {
  let root: TestRoot;
  let mountpoint: string;
  let objects: ReadonlyMap<string, string>;

  const fresh = (name: string) => (): string => {
    const dir = path.join(mountpoint, name);
    fs.mkdirSync(dir, { recursive: true });
    return dir;
  };

  beforeAll(async () => {
    root = await TestRoot.create();
    // The suites act as other users too, who have to get through, and find set-user-ID programs and devices working.
    fs.chmodSync(root.base, 0o755);
    for (const kind of ['os', 'app'] as const) {
      const source = root.directory(`source-${kind}`);
      await buildFixture(kind, source);
      await root.import(kind, source, kind);
    }
    objects = hashObjects(root.path);
    await root.create('env', 'os', 'app');
    if (settings.length > 0) await root.ok('set', 'env', ...settings);
    mountpoint = await root.mount('env', '--allow-users', '-o', 'suid,dev', ...mountOptions);
  }, SET_UP_MS);

  declare({ mountpoint: () => mountpoint, fresh });

  test('no object changed', () => {
    expect(hashObjects(root.path)).toEqual(objects);
  });

  afterAll(() => root.dispose(), SET_UP_MS);
}

/**
 * Declares all suites on an env: fresh files where data is coherent, where it is shared, and in a
 * directory that both templates fill; and the templates' own files.
 */
export function declareByref(
  mountOptions: readonly string[] = [],
  settings: readonly string[] = [],
): void {
  declareEnv(mountOptions, settings, ({ mountpoint, fresh }) => {
    describe('fresh files, coherent', () => declareSuite('posix', fresh('home')));
    describe('fresh files, shared', () => declareSuite('posix', fresh('usr/fresh')));
    describe('fresh files, merged directory', () => declareSuite('posix', fresh('etc/merged')));
    describe('files of templates', () => declareSuite('template', mountpoint));
  });
}
