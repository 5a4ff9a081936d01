import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestRoot } from '../support/machine/root.ts';
import { declareSuite } from './declare.ts';
import { hashObjects } from './objects.ts';
import { buildFixture } from './run.ts';

const SET_UP_MS = 300_000;

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

/** Directories for fresh files, by what is said of their data: one that both templates fill is merged. */
const FRESH = { coherent: 'home', shared: 'usr/fresh', 'merged directory': 'etc/merged' } as const;
type Place = keyof typeof FRESH;
const PLACES = Object.keys(FRESH) as Place[];

/**
 * Declares the suites on an env: fresh files, and the templates' own.
 * @param places where the files are fresh; scripts/soak.sh takes all of them
 */
export function declareByref(
  mountOptions: readonly string[] = [],
  settings: readonly string[] = [],
  places: readonly Place[] = PLACES,
): void {
  const tried = process.env['BYREF_SOAK'] === undefined ? places : PLACES;
  declareEnv(mountOptions, settings, ({ mountpoint, fresh }) => {
    for (const place of tried)
      describe(`fresh files, ${place}`, () => declareSuite('posix', fresh(FRESH[place])));
    describe('files of templates', () => declareSuite('template', mountpoint));
  });
}
