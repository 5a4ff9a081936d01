/**
 * Random histories of apt, dpkg, holds, dpkg-divert, dpkg-statoverride, path-exclude, and of files that are touched only, in envs, and of patches, rollbacks and an app beside them.
 * After each step every env says and shows what a plain system does that was given the same commands, and for each patch those by which it would have come there, with the attributes that were set before.
 */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { output } from '../support/machine/program.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

const HISTORIES = Number(process.env['BYREF_PACKAGE_HISTORIES'] ?? 1);
const FIRST_SEED = Number(process.env['BYREF_PACKAGE_SEED'] ?? 1);
const STEPS = 14;
const NAMES = ['anna', 'bert', 'carl'] as const;
const VERSIONS = ['1.0', '2.0', '3.0'] as const;
const ENVS = ['one', 'two'] as const;

type Name = (typeof NAMES)[number];
/** By package; null: it is not installed. */
type Installed = Record<Name, string | null>;

const deb = (name: string, version: string): DebDescription => ({
  name,
  version,
  arch: 'all',
  files: {
    [`/usr/bin/${name}`]: `#!/bin/sh\necho ${name} ${version}\n`,
    [`/usr/bin/${name}-too`]: { hardLink: `/usr/bin/${name}` },
    [`/usr/share/${name}/same`]: `${name}\n`,
    [`/usr/share/${name}/only-${version}`]: version,
    [`/usr/share/${name}-${version}/in/it`]: version,
    [`/usr/share/${name}/link`]: { symlink: `only-${version}` },
    [`/usr/share/${name}/touched`]: `${name} ${version}\n`,
    [`/usr/share/${name}/touched-link`]: { symlink: `only-${version}` },
    [`/usr/share/${name}/touched-pair`]: `${name} ${version}\n`,
    [`/usr/share/${name}/touched-pair-too`]: { hardLink: `/usr/share/${name}/touched-pair` },
    // Not in all of its versions.
    ...(version === '2.0' ? {} : { [`/usr/share/${name}/odd`]: version }),
    [`/etc/${name}.conf`]: `${name} ${version === '3.0' ? '3' : '1'}\n`,
  },
  conffiles: [`/etc/${name}.conf`],
});

let systems: TinySystems;
beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());

test.each(Array.from({ length: HISTORIES }, (_, i) => FIRST_SEED + i))(
  'history %d',
  async (seed) => {
    const history = await History.create(seed);
    try {
      for (let step = 0; step < STEPS; step++) {
        await history.step();
        await history.check();
      }
      expect(await history.t.root.findings()).toEqual([]);
    } finally {
      await history.t.dispose();
    }
  },
  300_000,
);

const install = (name: string, version: string): string =>
  `dpkg -i --force-confold ${name}_${version}_all.deb`;
const APT = 'apt-get -q --yes --allow-downgrades -o Dpkg::Options::=--force-confold';
/** The same by apt. */
const aptInstall = (name: string, version: string): string =>
  `${APT} install ./${name}_${version}_all.deb`;
/** What is done to a file in "$1" without a change of its content. */
const TOUCHES = {
  attributes: [
    'chmod 640 "$1"',
    'chmod 711 "$1"',
    'chown 33:33 "$1"',
    'chown 34 "$1"',
    'setfacl -m u:33:r "$1"',
  ],
  nothing: [
    'touch "$1"',
    ': <>"$1"',
    'sed -i s/nothing-like-it/x/ "$1"',
    'mv "$1" "$1.x"; mv "$1.x" "$1"',
  ],
} as const;

/** The package of the app, which the repository has. */
const APP = 'linked';

class History {
  readonly t: PackageRoot;
  private readonly random: () => number;
  private readonly pairs: readonly Pair[];
  private readonly said: string[] = [];
  /** Of each version of the template, the first one first. */
  private readonly states: Installed[];
  /** The versions that were current, the present one last. */
  private readonly way: number[] = [0];

  private constructor(t: PackageRoot, seed: number, pairs: readonly Pair[], first: Installed) {
    this.t = t;
    this.random = randomOf(seed);
    this.pairs = pairs;
    this.states = [first];
    this.said.push(`seed ${seed}`);
  }

  static async create(seed: number): Promise<History> {
    const debs = NAMES.flatMap((name) => VERSIONS.map((version) => deb(name, version)));
    const setUp = `${install('anna', '1.0')} bert_1.0_all.deb`;
    const t = await PackageRoot.create(systems, debs, setUp);
    const first: Installed = { anna: '1.0', bert: '1.0', carl: null };
    await t.app(APP);
    const pairs: Pair[] = [];
    for (const name of ENVS) {
      const [env, plain] = [await t.env(name), await t.plain()];
      await plain.run('apt-get update');
      const sets = { configured: new Set<Name>(), held: new Set<Name>(), kept: new Set<Name>() };
      const excluded = new Map<Name, boolean>();
      const own = { has: { ...first }, ...sets, excluded, touched: new Map<string, Touched>() };
      pairs.push({ name, env, plain, ...own, hasApp: false });
    }
    return new History(t, seed, pairs, first);
  }

  async step(): Promise<void> {
    const inEnv = () => this.inEnv();
    const patch = () => this.patch();
    const kinds = [inEnv, inEnv, inEnv, patch, patch, () => this.rollback()];
    const others = [
      () => this.hold(),
      () => this.divert(),
      () => this.override(),
      () => this.exclude(),
      () => this.touch(),
      () => this.touch(),
      () => this.link(),
      () => this.relink(),
      () => this.remount(),
      () => this.configure(),
      () => this.app(),
    ];
    await this.pick([...kinds, ...others])();
  }

  /** An env and its plain system are asked the same, and answer the same. */
  async check(): Promise<void> {
    for (const { name, env, plain } of this.pairs) {
      const where = `${this.said.join('\n')}\n${name}`;
      expect(await env.truth(), where).toBe(await plain.truth());
      for (const directory of ['/usr/bin', '/usr/share', '/etc']) {
        // In /etc an env has what is its own as a machine: its name, its identity.
        const names = directory === '/etc' ? NAMES : [];
        expect(await env.tree(directory, names), where).toBe(await plain.tree(directory, names));
      }
      expect(await env.tree('/srv', ['kept']), where).toBe(await plain.tree('/srv', ['kept']));
      expect(await accessLists(env), where).toBe(await accessLists(plain));
    }
  }

  private async inEnv(): Promise<void> {
    const pair = this.pick(this.pairs);
    const name = this.pick(NAMES);
    const version = this.pick(VERSIONS);
    const what = this.pick(['install', 'install', 'remove', 'purge'] as const);
    const byApt = this.random() < 0.5;
    if (what === 'install') await this.both(pair, (byApt ? aptInstall : install)(name, version));
    else await this.both(pair, byApt ? `${APT} ${what} ${name}` : `dpkg --${what} ${name}`);
    // apt refuses to change what is held.
    await this.look(pair, name);
    pair.kept.delete(name);
    if (pair.excluded.has(name)) pair.excluded.set(name, true);
    if (what === 'purge') pair.configured.delete(name);
    await this.lookAtTouched(pair);
  }

  private async touch(): Promise<void> {
    const pair = this.pick(this.pairs);
    const file = this.touchedFile();
    const isLink = file.endsWith('link');
    const isSet = isLink || this.random() < 0.5;
    const script = isLink
      ? 'chown -h 33 "$1"'
      : this.pick(TOUCHES[isSet ? 'attributes' : 'nothing']);
    this.said.push(`${pair.name}: ${script} ${file}`);
    for (const at of [pair.env, pair.plain]) await touchIn(at, script, file);
    const { scripts = [] } = pair.touched.get(file) ?? {};
    const all = isSet ? [...scripts, script] : scripts;
    const shows = await shownOf(pair.plain, file);
    if (!shows.includes('No such file')) pair.touched.set(file, { scripts: all, shows });
  }

  /** A further name, which keeps what the file is now. */
  private async link(): Promise<void> {
    const pair = this.pick(this.pairs);
    const file = this.touchedFile();
    await this.both(pair, `ln ${file} /srv/kept-${this.said.length}`);
  }

  private touchedFile(): string {
    const which = this.pick(['touched', 'touched-link', 'touched-pair']);
    return `/usr/share/${this.pick(NAMES)}/${which}`;
  }

  /** What dpkg has replaced in the plain system has its package's attributes, and so in the env. */
  private async lookAtTouched({ plain, touched }: Pair): Promise<void> {
    for (const [file, { shows }] of [...touched])
      if ((await shownOf(plain, file)) !== shows) touched.delete(file);
  }

  /** What dpkg has on the plain system. */
  private async look({ plain, has, held }: Pair, name: Name): Promise<void> {
    const query = `dpkg-query -W -f '\${db:Status-Abbrev} \${Version}' ${name} 2>/dev/null || :`;
    const [state = '', version = ''] = (await plain.run(query)).split(/ +/);
    has[name] = state.startsWith('i', 1) ? version : null;
    if (!state.startsWith('h')) held.delete(name);
  }

  private async hold(): Promise<void> {
    const pair = this.pick(this.pairs);
    const name = this.pick(NAMES);
    if (pair.has[name] === null) return;
    const isHeld = !pair.held.delete(name);
    if (isHeld) pair.held.add(name);
    await this.both(pair, `echo ${name} ${isHeld ? 'hold' : 'install'} | dpkg --set-selections`);
  }

  private async divert(): Promise<void> {
    const name = this.pick(NAMES);
    const path = this.pick([
      `/usr/bin/${name}`,
      `/usr/share/${name}/odd`,
      `/usr/share/${name}/link`,
      `/usr/share/${name}-2.0/in/it`,
    ]);
    const verb = this.pick(['add', 'add', 'remove']);
    await this.both(this.pick(this.pairs), `dpkg-divert --rename --${verb} ${path}`);
  }

  private async override(): Promise<void> {
    const name = this.pick(NAMES);
    const path = this.pick(['same', 'odd', 'link', 'only-2.0']);
    // On a symlink it would change what that leads to.
    const update = path === 'link' ? '' : this.pick(['', '--update']);
    const script = `dpkg-statoverride --force-all ${update} --add '#33' root 640 /usr/share/${name}/${path}`;
    await this.both(this.pick(this.pairs), script);
  }

  /** What dpkg in the env left out by itself, it has removed: that would stay so, so it goes on being left out. */
  private async exclude(): Promise<void> {
    const pair = this.pick(this.pairs);
    const name = this.pick(NAMES);
    const file = `/etc/dpkg/dpkg.cfg.d/${name}`;
    const isUsed = pair.excluded.get(name);
    if (isUsed === true) return;
    if (isUsed === undefined) pair.excluded.set(name, false);
    else pair.excluded.delete(name);
    const lines = `path-exclude=/usr/share/${name}*/[io]*\\npath-include=/usr/share/${name}/only-3*`;
    await this.both(pair, isUsed === undefined ? `printf '${lines}\\n' >${file}` : `rm ${file}`);
  }

  private async configure(): Promise<void> {
    const pair = this.pick(this.pairs);
    const name = this.pick(NAMES);
    if (pair.has[name] === null) return;
    pair.configured.add(name);
    await this.both(
      pair,
      `[ ! -e /etc/${name}.conf ] || echo own${this.said.length} >/etc/${name}.conf`,
    );
  }

  private async patch(): Promise<void> {
    const before = this.states[this.way.at(-1)!]!;
    const after = { ...before };
    const name = this.pick(NAMES);
    const version = this.pick([...VERSIONS, null]);
    after[name] = version;
    const commands = NAMES.map((each) => commandFor(each, before[each], after[each])).join('\n');
    if (commands.trim() === '') return;
    // The machine is where the newest version left it.
    const newest = this.states.at(-1)!;
    await this.t.machine.run(
      `cd /srv/debs\n${NAMES.map((each) => commandFor(each, newest[each], after[each])).join('\n')}`,
    );
    this.said.push(`patch: ${name} ${version}`);
    await this.t.stage();
    this.states.push(after);
    await this.t.root.json('patch', 't');
    this.way.push(this.states.length - 1);
    await this.follow(before, after);
  }

  private async rollback(): Promise<void> {
    if (this.way.length < 2) return;
    const before = this.states[this.way.pop()!]!;
    const after = this.states[this.way.at(-1)!]!;
    this.said.push('rollback');
    await this.t.rollback();
    await this.follow(before, after);
  }

  /** A package of an env follows that is as the templates had it, or as they have it. */
  private async follow(before: Installed, after: Installed): Promise<void> {
    for (const pair of this.pairs) {
      const { plain, has, configured, held, kept } = pair;
      for (const name of NAMES) {
        if (has[name] === after[name]) kept.delete(name);
        // One that was held, and is not any more, goes along with whatever comes.
        const isReleased = kept.has(name) && !held.has(name);
        const isAsBefore = before[name] !== after[name] && has[name] === before[name];
        if (has[name] === after[name] || !(isReleased || isAsBefore)) continue;
        if (held.has(name)) {
          kept.add(name);
          continue;
        }
        // What the env's administrator wrote stays, also where the templates remove the package with its configuration.
        const conf = `/etc/${name}.conf`;
        const isOwn = after[name] === null && configured.has(name);
        await plain.run(
          isOwn
            ? `cp -a ${conf} /kept; dpkg --purge ${name}; mv /kept ${conf}`
            : commandFor(name, has[name], after[name]),
        );
        has[name] = after[name];
        kept.delete(name);
        await this.touchAgain(pair, name);
      }
    }
  }

  /** What the env has set stays where the version still has the file. */
  private async touchAgain({ plain, touched, has }: Pair, name: Name): Promise<void> {
    for (const [file, { scripts }] of [...touched]) {
      if (!file.startsWith(`/usr/share/${name}/`)) continue;
      if (has[name] === null) touched.delete(file);
      for (const script of scripts) await touchIn(plain, script, file);
    }
  }

  private async app(): Promise<void> {
    const pair = this.pick(this.pairs);
    pair.hasApp = !pair.hasApp;
    const verb = pair.hasApp ? 'add' : 'remove';
    this.said.push(`${pair.name}: app ${verb}`);
    await this.t.root.ok('app', verb, pair.name, APP);
    await pair.plain.run(`${APT} ${pair.hasApp ? 'install' : 'purge'} ${APP}`);
  }

  private async relink(): Promise<void> {
    this.said.push('relink');
    await this.t.root.ok('relink', '--all');
  }

  private async remount(): Promise<void> {
    const { name } = this.pick(this.pairs);
    this.said.push(`remount ${name}`);
    await this.t.root.umount(name);
    await this.t.root.mount(name);
  }

  private async both({ name, env, plain }: Pair, script: string): Promise<void> {
    this.said.push(`${name}: ${script}`);
    await Promise.all([env.run(`${script} || :`), plain.run(`${script} || :`)]);
  }

  private pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }
}

interface Pair {
  readonly name: string;
  readonly env: PackageEnv;
  readonly plain: PackageEnv;
  readonly has: Installed;
  /** Packages whose configuration its administrator has changed. */
  readonly configured: Set<Name>;
  readonly held: Set<Name>;
  /** Packages that were held when a patch changed them. */
  readonly kept: Set<Name>;
  /** Packages of which files are excluded; true: dpkg in the env left some out by itself. */
  readonly excluded: Map<Name, boolean>;
  /** By path. */
  readonly touched: Map<string, Touched>;
  hasApp: boolean;
}

/** What was done to the attributes of a file, and what they are since. */
interface Touched {
  readonly scripts: readonly string[];
  readonly shows: string;
}

/** By the machine's tools; nothing if it is not there. */
async function touchIn(at: PackageEnv, script: string, file: string): Promise<void> {
  const words = ['-c', `[ ! -e "$1" ] && [ ! -L "$1" ] || { ${script}; }`, 'sh'];
  await output('sh', [...words, path.join(at.mountpoint, file)]);
}

/** Mode, owner and access list. */
const shownOf = (at: PackageEnv, file: string): Promise<string> =>
  output('sh', [
    '-c',
    'stat -c "%a %u %g" "$1" 2>&1 || :; [ -L "$1" ] || getfacl -nc "$1" 2>/dev/null || :',
    'sh',
    path.join(at.mountpoint, file),
  ]);

/** Access lists of all files that are touched. */
const accessLists = (at: PackageEnv): Promise<string> =>
  output('sh', [
    '-c',
    'cd "$1/usr/share" && find . -name "touched*" -type f | sort | xargs -r getfacl -n',
    'sh',
    at.mountpoint,
  ]);

function commandFor(name: Name, was: string | null, is: string | null): string {
  if (was === is) return '';
  return is === null ? `dpkg --purge ${name}` : install(name, is);
}

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
