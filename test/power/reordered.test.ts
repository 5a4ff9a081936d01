/**
 * Loses the power of a disk that had not written all since its last flush, in any order: what was synced is there, the root is whole, and
 * all envs have one version of their template or the other.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Finding } from '../../src/manager/upkeep/fsck/finding.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { randomOf } from '../support/machine/random.ts';
import { TestRoot } from '../support/machine/root.ts';
import { LoggedDisk } from './logged-disk.ts';
import type { FileSystemType } from './power-disk.ts';

/** How many disks are made of each history. */
const { numRuns: CUTS, seed: SEED = Date.now() % 1e6 } = propertyRuns(2);
const TEST_MS = 180_000 + CUTS * 10_000;
const ENVS = ['passthrough', 'no-passthrough'];
const FILES = ['etc/version', 'usr/lib/one'];
const STEPS = 6;

/** What was promised from a place of the disk's history on. */
interface Promised {
  readonly from: number;
  readonly env: string;
  /** The step whose files are synced. */
  readonly step: number;
}

let disk: LoggedDisk;
let root: TestRoot;
afterEach(async () => {
  await root.dispose();
  await disk.dispose();
}, TEST_MS);

const mnt = (env: string): string => path.join(root.path, 'mnt', env);

function tree(version: number): string {
  const dir = path.join(disk.beside, `version-${version}`);
  for (const file of FILES) {
    fs.mkdirSync(path.join(dir, path.dirname(file)), { recursive: true });
    fs.writeFileSync(path.join(dir, file), `${version}\n`.repeat(5000));
  }
  return dir;
}

async function mount(): Promise<void> {
  await root.ok('mount', 'passthrough');
  await root.ok('mount', '--no-passthrough', 'no-passthrough');
}

/** In an env: a new file, one that is replaced, one that grows, a name that goes; all are synced. */
const stepScript = (step: number): string => `
  echo ${step} >new-${step}; sync new-${step}
  echo ${step} >.tmp; sync .tmp; mv .tmp replaced; sync .
  echo ${step} >>log; sync log
  rm -f gone-${step - 1}; >gone-${step}; mkdir dir-${step}; mv new-${step} dir-${step}/moved; sync . dir-${step}`;

async function history(): Promise<Promised[]> {
  const promised: Promised[] = [];
  for (let step = 1; step <= STEPS; step++) {
    for (const env of ENVS) {
      const { code, stderr } = await root.shell(stepScript(step), mnt(env));
      expect(code, stderr).toBe(0);
      promised.push({ from: disk.position, env, step });
    }
    if (step === 2) await root.ok('template', 'import', 'os', tree(2));
    if (step === 3) await root.ok('patch', 'os');
    if (step === 5) await root.ok('rollback', 'os');
  }
  return promised;
}

/** What must be there when the power went at this place. */
function expectKept(promised: readonly Promised[], position: number): void {
  for (const env of ENVS) {
    const at = (name: string): string => fs.readFileSync(path.join(mnt(env), name), 'utf8');
    const step = Math.max(
      0,
      ...promised
        .filter((each) => each.env === env && each.from <= position)
        .map((each) => each.step),
    );
    if (step > 0) {
      expect(
        [step, step + 1].map((each) => `${each}\n`),
        env,
      ).toContain(at('replaced'));
      const log = Array.from({ length: step }, (_, i) => `${i + 1}\n`).join('');
      expect(at('log').slice(0, log.length), env).toBe(log);
    }
    for (let i = 1; i <= step; i++) expect(at(`dir-${i}/moved`), env).toBe(`${i}\n`);
    for (let i = 1; i < step; i++)
      expect(fs.existsSync(path.join(mnt(env), `gone-${i}`)), env).toBe(false);
  }
  const versions = ENVS.map((env) => {
    const texts = FILES.map((file) => fs.readFileSync(path.join(mnt(env), file), 'utf8'));
    const version = texts[0]!.split('\n')[0]!;
    expect(texts, env).toEqual(FILES.map(() => `${version}\n`.repeat(5000)));
    return version;
  });
  expect(new Set(versions).size).toBe(1);
}

async function findsNothing(): Promise<void> {
  const { findings } = await root.json<{ findings: Finding[] }>('fsck', '--full');
  expect(findings.filter(({ severity }) => severity !== 'leftover')).toEqual([]);
}

for (const type of ['ext4', 'xfs', 'btrfs'] satisfies FileSystemType[]) {
  test(type, { timeout: TEST_MS }, async () => {
    disk = await LoggedDisk.create(type);
    root = await TestRoot.create({}, disk.place);
    await root.import('os', tree(1));
    for (const env of ENVS) await root.create(env, 'os');
    await mount();
    await root.shell('sync -f .', root.path);
    const began = disk.position;
    const promised = await history();
    const ended = disk.position;
    await root.umount();
    await expect.poll(() => root.processes()).toEqual([]);
    await disk.end();
    const random = randomOf(SEED);
    for (let cut = 0; cut < CUTS; cut++) {
      root.goesOn();
      const position = began + random(ended - began);
      disk.cutAt(position, random);
      root.env['BYREF_BOOT_ID'] = String(cut % 10).repeat(32);
      await mount();
      try {
        expectKept(promised, position);
        await findsNothing();
      } catch (error) {
        throw new Error(`FC_SEED=${SEED}, cut ${cut}, at ${position} of ${ended}`, {
          cause: error,
        });
      }
      await root.umount();
      await expect.poll(() => root.processes()).toEqual([]);
      await disk.end();
    }
  });
}
