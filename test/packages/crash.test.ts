/** However a patch is cut short, what dpkg says in an env and what the env shows are of one version. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { type Files, PatchRoot } from '../support/machine/patch-root.ts';

let t: PatchRoot;

/** More failpoints than a patch comes by. */
const FAILPOINTS_MAX = 60;
const ENVS = ['mounted', 'stopped'] as const;
const PACKAGES = ['own', 'same', 'plain'] as const;

const stanza = (name: string, version: string): string =>
  `Package: ${name}\nStatus: install ok installed\nVersion: ${version}\nArchitecture: all\n\n`;

const filesOf = (name: string, version: string): Files => ({
  [`usr/bin/${name}`]: `${name} ${version}\n`,
  [`usr/share/${name}-${version}/f`]: `${version}\n`,
  [`var/lib/dpkg/info/${name}.list`]: `/usr/bin/${name}\n/usr/share/${name}-${version}\n/usr/share/${name}-${version}/f\n`,
});

const system = (version: string): Files => ({
  'usr/v': version,
  'var/lib/dpkg/status': PACKAGES.map((name) => stanza(name, version)).join(''),
  ...Object.fromEntries(PACKAGES.flatMap((name) => Object.entries(filesOf(name, version)))),
});

/** As dpkg does it: each file is a new one, with the time that it has in the package. */
function install(name: string, was: string, is: string): string {
  const files = Object.entries(filesOf(name, is)).map(
    ([at, text]) =>
      `mkdir -p ${at.replace(/\/[^/]*$/, '')}; printf '${text.replaceAll('\n', '\\n')}' >new; touch -d 2026-01-01T00:00:00Z new; mv new ${at}`,
  );
  const status = `sed '/^Package: ${name}$/,/^$/s/^Version: .*/Version: ${is}/' var/lib/dpkg/status >new; mv new var/lib/dpkg/status`;
  return [...files, `rm -rf usr/share/${name}-${was}`, status].join('\n');
}

beforeEach(async () => {
  t = await PatchRoot.create();
  await t.version(system('1'));
  await t.version(system('2'));
  await t.envs(...ENVS);
  for (const env of ENVS) {
    const { code, stderr } = await t.in(
      env,
      `${install('own', '1', '9')}\n${install('same', '1', '2')}`,
    );
    expect(code, stderr).toBe(0);
  }
  await t.root.umount('stopped');
});
afterEach(() => t.dispose());

/** What a package is in an env: by dpkg's record, its list, its program, and the directories that are there. */
async function versionsOf(env: string, name: string): Promise<string[]> {
  const said = await t.out(
    env,
    `sed -n '/^Package: ${name}$/,/^$/s/^Version: //p' var/lib/dpkg/status
sed -n 's,^/usr/share/${name}-\\([0-9]\\)$,\\1,p' var/lib/dpkg/info/${name}.list
sed 's/.* //' usr/bin/${name}; cat usr/share/${name}-*/f`,
  );
  return said.trim().split('\n');
}

/** The template's version, then those of the packages. @throws if a package is of two versions */
async function stateOf(env: string): Promise<string> {
  const state = [await t.out(env, 'cat usr/v')];
  for (const name of PACKAGES) {
    const versions = await versionsOf(env, name);
    expect(versions, `${env}: ${name}`).toEqual([
      versions[0],
      versions[0],
      versions[0],
      versions[0],
    ]);
    state.push(`${name} ${versions[0]}`);
  }
  return state.join(', ');
}

async function allStates(): Promise<string[]> {
  await t.root.mount('stopped');
  const states = [];
  for (const env of ENVS) states.push(await stateOf(env));
  await t.root.umount('stopped');
  return states;
}

const BEFORE = '1, own 9, same 2, plain 1';
const AFTER = '2, own 9, same 2, plain 2';
const BACK = '1, own 9, same 1, plain 1';

test('a patch, killed at any point', async () => {
  let finished = 0;
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const { code } = await runKilledAt(t.root, `patch-*:${n}`, ['patch', 't', '--to', '2']);
    // The next command ends it.
    await t.root.ok('gc');
    const states = await allStates();
    expect(await t.root.findings(), `${n}`).toEqual([]);
    if (states[0] === BEFORE) expect(states, `${n}`).toEqual([BEFORE, BEFORE]);
    else {
      finished++;
      expect(states, `${n}`).toEqual([AFTER, AFTER]);
      if (code === 0) {
        expect(finished).toBeGreaterThan(1);
        return;
      }
      await t.rollback();
      expect(await allStates()).toEqual([BACK, BACK]);
      await t.root.mount('stopped');
      for (const env of ENVS) await t.in(env, install('same', '1', '2'));
      await t.root.umount('stopped');
    }
  }
  expect.unreachable('it came by more failpoints than expected');
}, 600_000);
