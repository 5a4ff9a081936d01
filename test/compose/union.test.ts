import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

/** Each is an app of one package, and goes with all others. */
const APPS = [
  'greeter',
  'diverter',
  'linked',
  'userful',
  'userful2',
  'configful',
  'alternative-a',
  'alternative-b',
];
const RUNS = 4;

let systems: TinySystems;
let apps: TinyApps;

beforeAll(async () => {
  systems = await TinySystems.create();
  apps = await TinyApps.create(systems);
  for (const name of APPS) await apps.build(name, [name]);
});
afterAll(async () => {
  await apps.dispose();
  await systems.dispose();
});

/** What of a system depends on which packages are installed in it, and not on their order. */
const LOOK = `
dpkg-query -W -f '\${Package} \${Version} \${Status}\\n'
dpkg-query -W -f '\${Conffiles}\\n'
cut -d: -f 1,5- /etc/passwd | sort
cut -d: -f 1,4- /etc/group | sort
cut -d: -f 1,2 /etc/shadow /etc/gshadow | sort
apt-mark showauto
dpkg-divert --list | sort
update-alternatives --query alternative || :
readlink /usr/bin/alternative /etc/alternatives/alternative || :
whoami
dpkg --verify
dpkg --audit
cd / && find etc usr var/lib -xdev ! -type d ! -path 'etc/apt/*' ! -path 'usr/share/keyrings/*' \\
  ! -path 'var/lib/apt/lists*' ! -name '*-old' ! -name '*-' ! -name '.pwd.lock' ! -name hostname \\
  ! -name resolv.conf ! -path etc/hosts ! -path etc/machine-id -printf '%p %y %m %u %g %l\\n' | sort`;

test('any apps in any order are what apt makes of their packages', async () => {
  let count = 0;
  const stacks = fc.shuffledSubarray(APPS, { minLength: 2 });
  const isUnion = async (names: string[]): Promise<void> => {
    const env = await apps.env(`e${++count}`, ...names);
    const system = await systems.system();
    await system.install(...names);
    expect(await env.run(LOOK)).toBe(await system.run(`(${LOOK}) 2>&1`));
    expect(await env.complaints()).toBe('');
    await apps.root.umount(`e${count}`);
  };
  await fc.assert(fc.asyncProperty(stacks, isUnion), { numRuns: RUNS, endOnFailure: true });
  await apps.expectNothingLeft();
});
