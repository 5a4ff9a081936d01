/**
 * Cuts the power of the file system under a root while envs are in use: what was synced is there, whichever way a
 * program synced it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { output } from '../support/machine/program.ts';
import { changed, NEW_FILES, SYNCED, TEMPLATE_FILES } from './expected.ts';
import { Machine } from './machine.ts';
import type { FileSystemType } from './power-disk.ts';

const TYPES: readonly FileSystemType[] = ['ext4', 'xfs', 'btrfs'];
// Those that the driver does not hear of come last, as close to the cut as can be.
const WAYS = ['o-sync', 'o-dsync', 'fsync', 'rwf-sync', 'rwf-dsync', 'msync'];
const MODES = ['passthrough', 'no-passthrough'];
const WRITER = new URL('./writer.ts', import.meta.url).pathname;
const TEST_MS = 180_000;

let machine: Machine;
afterEach(() => machine.dispose(), TEST_MS);

for (const type of TYPES) {
  test(`${type}: what a program synced is there`, { timeout: TEST_MS }, async () => {
    const envs = envsOf(type);
    machine = await Machine.start(type, envs);
    const writer = ['--import', 'tsx', WRITER, machine.mnt, ...envs];
    await output(process.execPath, writer, { timeout: TEST_MS });
    await machine.cut();
    for (const env of envs) await expectSynced(env);
    await machine.findsNothing();
    expect(machine.lost()).toEqual([]);
    // What recovery made of it is on disk, too.
    await machine.cut();
    for (const env of envs) await expectSynced(env);
    await machine.findsNothing();
    expect(machine.lost()).toEqual([]);
  });

  test(`${type}: what sync wrote is there`, { timeout: TEST_MS }, async () => {
    machine = await Machine.start(type, MODES);
    const block = path.join(machine.disk.beside, 'block');
    fs.writeFileSync(block, SYNCED);
    for (const env of MODES) {
      const script = TEMPLATE_FILES.map(
        (file) => `dd if=${block} of=${file} bs=4096 seek=1 conv=notrunc status=none`,
      );
      await machine.sh(script.join('\n'), env);
    }
    await output('sync', []);
    await machine.cut();
    for (const env of MODES) {
      for (const file of TEMPLATE_FILES) {
        expect((await machine.read(env, file)).equals(changed(file)), `${env} ${file}`).toBe(true);
      }
    }
    await machine.findsNothing();
  });

  test(`${type}: what a driver that was killed had not synced is there, if it is synced after that`, {
    timeout: TEST_MS,
  }, async () => {
    const byStore = MODES.map((mode) => `msync-${mode}`);
    machine = await Machine.start(type, [...MODES, ...byStore]);
    for (const env of MODES) {
      const replace =
        'for i in $(seq 40); do echo old >etc/$i; done; sync; for i in $(seq 40); do echo new >tmp; mv tmp etc/$i; done';
      await machine.sh(`${replace}; mkdir made; echo by >made/by`, env);
    }
    for (const env of byStore) {
      const makes = NEW_FILES.map((file) => `mkdir -p '${path.dirname(file)}'; >'${file}'`);
      await machine.sh(makes.join('\n'), env);
    }
    await machine.killDriver();
    for (const env of MODES) await machine.sh('echo other >other; sync other', env);
    const writer = ['--import', 'tsx', WRITER, machine.mnt, ...byStore];
    await output(process.execPath, writer, { timeout: TEST_MS });
    await machine.cut();
    for (const env of MODES) {
      expect(await machine.sh('cat etc/[1-9]* other', env)).toBe(`${'new\n'.repeat(40)}other\n`);
      // It need not have its bytes.
      expect(['', 'by\n']).toContain(await machine.sh('cat made/by', env));
    }
    for (const env of byStore) await expectSynced(env);
    await machine.findsNothing();
  });

  test(`${type}: a replaced file is not empty`, { timeout: TEST_MS }, async () => {
    machine = await Machine.start(type, MODES);
    for (const env of MODES) {
      await machine.sh(
        `for i in $(seq 20); do
           echo old > etc/own-$i
         done
         sync
         for i in $(seq 20); do
           echo new > etc/tmp; mv etc/tmp etc/own-$i
         done
         echo new > usr/tmp; mv usr/tmp usr/replaced
         echo new > etc/replaced
         sed -i s/old/new/ etc/own-1
         echo other > etc/other; sync etc/other`,
        env,
      );
    }
    await machine.cut();
    for (const env of MODES) {
      // The sync at the end covers all that came before it.
      expect(await machine.sh('cat etc/own-* usr/replaced etc/replaced', env)).toBe(
        'new\n'.repeat(22),
      );
    }
    await machine.findsNothing();
  });
}

/** An env for each way and mode; where every write is a request, it is the same code for all file systems. */
function envsOf(type: FileSystemType): string[] {
  const all = WAYS.flatMap((way) => MODES.map((mode) => `${way}-${mode}`));
  return type === 'ext4'
    ? all
    : all.filter((env) => !env.endsWith('-no-passthrough') || env.startsWith('msync'));
}

async function expectSynced(env: string): Promise<void> {
  for (const file of NEW_FILES) {
    expect((await machine.read(env, file)).equals(SYNCED), `${env} ${file}`).toBe(true);
  }
  for (const file of TEMPLATE_FILES) {
    expect((await machine.read(env, file)).equals(changed(file)), `${env} ${file}`).toBe(true);
  }
  const script =
    'cd etc; ls -d renamed temporary removed made/by 2>/dev/null || true; stat -c %a renamed temporary 2>/dev/null || true';
  const names = (await machine.sh(script, env)).split('\n');
  expect(names, env).toContain('made/by');
  expect(names, env).not.toContain('removed');
  expect(names, env).toContain('600');
}
