/**
 * Random histories of packages that need each other in one version: of apt and dpkg in envs, beside patches, rollbacks and pins. After each
 * step an env says what a plain system says that was given the same commands, and apt-get check says in it what it said before.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PatchedEnv, PatchRecord } from '../../src/codec/patch-record.ts';
import type { FsckResult } from '../../src/manager/upkeep/fsck/report.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

const HISTORIES = Number(process.env['BYREF_PACKAGE_HISTORIES'] ?? 1);
const FIRST_SEED = Number(process.env['BYREF_PACKAGE_SEED'] ?? 1);
const STEPS = 16;
const VERSIONS = ['1', '2', '3'] as const;
const ENVS = ['one', 'two'] as const;

/** A library with its -dev package, a program that needs it at least as new, a plugin that it breaks when that is older, and one that needs what it provides. */
const RELATIONS = {
  lib: (v: string) => ({ breaks: [`plug (<< ${v})`], provides: [`lib-abi (= ${v})`] }),
  dev: (v: string) => ({ depends: [`lib (= ${v})`] }),
  app: (v: string) => ({ depends: [`lib (>= ${v})`] }),
  plug: () => ({}),
  user: (v: string) => ({ preDepends: [`lib-abi (= ${v})`] }),
};

type Name = keyof typeof RELATIONS;
const NAMES = Object.keys(RELATIONS) as Name[];
/** By package; null: it is not there. */
type Installed = Record<Name, string | null>;

const deb = (name: Name, version: string): DebDescription => ({
  name,
  version,
  arch: 'all',
  files: {
    [`/usr/bin/${name}`]: `#!/bin/sh\necho ${name} ${version}\n`,
    [`/usr/bin/${name}-too`]: { hardLink: `/usr/bin/${name}` },
    [`/usr/share/${name}/of-${version}`]: version,
    [`/usr/share/${name}-${version}/in/it`]: version,
    [`/usr/share/${name}/link`]: { symlink: `of-${version}` },
  },
  ...RELATIONS[name](version),
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
      await history.checkRoot();
    } finally {
      await history.t.dispose();
    }
  },
  300_000,
);

const FIRST: Installed = { lib: '1', dev: null, app: '1', plug: null, user: null };
const FORCE = '--force-depends --force-breaks --force-conflicts';

class History {
  readonly t: PackageRoot;
  private readonly random: () => number;
  private readonly pairs: readonly Pair[];
  private readonly said: string[] = [];
  private readonly states: Installed[] = [FIRST];
  /** The versions that were current, the present one last. */
  private readonly way: number[] = [0];

  private constructor(t: PackageRoot, seed: number, pairs: readonly Pair[]) {
    this.t = t;
    this.random = randomOf(seed);
    this.pairs = pairs;
    this.said.push(`seed ${seed}`);
  }

  static async create(seed: number): Promise<History> {
    const debs = NAMES.flatMap((name) => VERSIONS.map((version) => deb(name, version)));
    const t = await PackageRoot.create(systems, debs, 'dpkg -i lib_1_all.deb app_1_all.deb');
    const pairs: Pair[] = [];
    for (const name of ENVS) {
      pairs.push({
        name,
        env: await t.env(name),
        plain: await t.plain(),
        former: new Set(),
        removed: new Set(),
        told: new Set(),
      });
    }
    return new History(t, seed, pairs);
  }

  async step(): Promise<void> {
    const kinds = [
      ...[1, 2, 3].map(() => () => this.inEnv()),
      ...[1, 2, 3].map(() => () => this.patch()),
      () => this.rollback(),
      () => this.remount(),
      () => this.hold(),
    ];
    await this.pick(kinds)();
  }

  async check(): Promise<void> {
    for (const { name, env, plain } of this.pairs) {
      const where = this.where(name);
      expect(await truth(env), where).toBe(await truth(plain));
      for (const directory of ['/usr/bin', '/usr/share'])
        expect(await env.tree(directory), where).toBe(await plain.tree(directory));
    }
  }

  /** fsck finds what apt says in an env, and no patch said: only what was done there by force. */
  async checkRoot(): Promise<void> {
    const { stdout } = await this.t.root.byref('fsck', '--full', '--packages', '--json');
    const { findings } = JSON.parse(stdout) as FsckResult;
    const [warnings, others] = [true, false].map((isWarning) =>
      findings.filter(({ severity }) => (severity === 'warning') === isWarning),
    );
    expect(others, this.where('')).toEqual([]);
    for (const { name, env, told } of this.pairs) {
      const unsaid = (await unmet(env)).filter((line) => !told.has(line));
      const found = warnings!.filter(({ where }) => where === `env ${name}`);
      expect(found.length, `${this.where(name)}\n${unsaid.join('\n')}`).toBe(unsaid.length);
    }
  }

  private where(name: string): string {
    return `${this.said.join('\n')}\n${name}`;
  }

  private async inEnv(): Promise<void> {
    const pair = this.pick(this.pairs);
    const name = this.pick(NAMES);
    const file = `${name}_${this.pick(VERSIONS)}_all.deb`;
    const command = this.pick([
      `dpkg -i ${file}`,
      `dpkg -i ${file}`,
      `dpkg -i ${FORCE} ${file}`,
      `apt-get -q --yes --allow-downgrades install ./${file}`,
      `apt-get -q --yes purge ${name}`,
      `dpkg --purge ${name}`,
      'apt-get -q --yes --fix-broken install',
    ]);
    this.said.push(`${pair.name}: ${command}`);
    const before = await installed(pair.plain);
    await Promise.all([pair.env, pair.plain].map((at) => at.run(`${command} || :`)));
    const after = await installed(pair.plain);
    // What its dpkg had to do with is its own from then on.
    for (const each of NAMES) {
      const isMeant = each === name && !command.includes('fix-broken');
      if (before[each] !== after[each] || (isMeant && after[each] !== null))
        pair.former.delete(each);
      if (before[each] !== null && after[each] === null) pair.removed.add(each);
    }
  }

  private async hold(): Promise<void> {
    const pair = this.pick(this.pairs);
    const [name, want] = [this.pick(NAMES), this.pick(['hold', 'install'])];
    if ((await installed(pair.plain))[name] === null) return;
    this.said.push(`${pair.name}: ${want} ${name}`);
    const script = `echo ${name} ${want} | dpkg --set-selections`;
    await Promise.all([pair.env, pair.plain].map((at) => at.run(script)));
  }

  private async patch(): Promise<void> {
    const before = this.states[this.way.at(-1)!]!;
    const after = this.state();
    if (NAMES.every((name) => before[name] === after[name])) return;
    await this.t.machine.run(`cd /srv/debs\n${commands(this.states.at(-1)!, after, NAMES)}`);
    await this.t.stage();
    this.states.push(after);
    this.way.push(this.states.length - 1);
    // Mostly not by apt, which finds nothing in its repository, and takes its time.
    const chance = this.random();
    const policy = chance < 0.2 ? 'follow' : chance < 0.8 ? 'keep' : 'complete';
    const words = ['--dependencies', policy];
    await this.move(before, after, ['patch', 't', ...words]);
  }

  private async rollback(): Promise<void> {
    if (this.way.length < 2) return;
    const before = this.states[this.way.pop()!]!;
    await this.move(before, this.states[this.way.at(-1)!]!, ['rollback', 't']);
  }

  /** Packages that fit together. */
  private state(): Installed {
    const lib = this.pick(VERSIONS);
    const is = (isOne: (version: string) => boolean) =>
      this.pick([null, ...VERSIONS.filter((version) => isOne(version))]);
    return {
      lib,
      dev: is((version) => version === lib),
      app: is((version) => version <= lib),
      plug: is((version) => version >= lib),
      user: is((version) => version === lib),
    };
  }

  private async move(before: Installed, after: Installed, words: readonly string[]): Promise<void> {
    this.said.push(`${words.join(' ')} ${JSON.stringify(after)}`);
    const was = await Promise.all(this.pairs.map(({ env }) => unmet(env)));
    const { stdout, stderr, code } = await this.t.root.byref(...words, '--json');
    expect(stderr, this.where('')).toBe('');
    const { envs } = JSON.parse(stdout) as PatchRecord;
    const isLess = envs.some((each) => neededIn(each).length > 0 || each.unmet?.length);
    expect(code, this.where('')).toBe(isLess ? 11 : 0);
    for (const [i, pair] of this.pairs.entries()) {
      const told = envs.find(({ name }) => name === pair.name)!;
      await this.follow(pair, before, after, told);
      const now = await unmet(pair.env);
      const fresh = now.filter((line) => !was[i]!.includes(line));
      for (const line of fresh) pair.told.add(line);
      expect(fresh.length, `${this.where(pair.name)}\n${fresh.join('\n')}`).toBe(
        told.unmet?.length,
      );
    }
  }

  /** The plain system gets what follows in the env; if not all does, all of it would not have fitted. */
  private async follow(
    { plain, former, removed, name: of }: Pair,
    before: Installed,
    after: Installed,
    told: PatchedEnv,
  ): Promise<void> {
    const has = await installed(plain);
    const own = await ownState(plain);
    const needed = neededIn(told);
    const may = NAMES.filter((name) => {
      if (own.has(name) && has[name] !== after[name]) return false;
      return has[name] === before[name] || former.has(name);
    });
    expect(
      needed.filter((name) => !may.includes(name)),
      this.where(of),
    ).toEqual([]);
    if (needed.length > 0) {
      const was = await unmet(plain);
      const would = await this.t.plainLike(plain);
      await would.run(commands(has, after, may));
      const broken = (await unmet(would)).filter((line) => !was.includes(line));
      expect(broken, this.where(of)).not.toEqual([]);
    }
    const following = may.filter((name) => !needed.includes(name));
    await plain.run(commands(has, after, following));
    for (const name of following) former.delete(name);
    // What its administrator has removed is not there for that reason, too.
    for (const name of needed) if (has[name] !== null || !removed.has(name)) former.add(name);
    for (const name of NAMES) if ((await installed(plain))[name] !== null) removed.delete(name);
    // As the templates have it, it is no own package.
    for (const name of NAMES) if (has[name] === after[name]) former.delete(name);
  }

  private async remount(): Promise<void> {
    const { name } = this.pick(this.pairs);
    this.said.push(`remount ${name}`);
    await this.t.root.umount(name);
    await this.t.root.mount(name);
  }

  private pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }
}

interface Pair {
  readonly name: string;
  readonly env: PackageEnv;
  readonly plain: PackageEnv;
  /** Packages that were kept for others, and that its dpkg had nothing to do with since. */
  readonly former: Set<Name>;
  /** Packages that it has removed, and not got again since. */
  readonly removed: Set<Name>;
  /** What patches said that would not be met in it. */
  readonly told: Set<string>;
}

const neededIn = ({ packages = [] }: PatchedEnv): Name[] =>
  packages.filter(({ why }) => why === 'needed').map(({ name }) => name as Name);

function commands(has: Installed, after: Installed, names: readonly Name[]): string {
  const moving = names.filter((name) => has[name] !== after[name]);
  const gone = moving.filter((name) => after[name] === null);
  const come = moving.filter((name) => after[name] !== null);
  const files = come.map((name) => `${name}_${after[name]}_all.deb`);
  return [
    ...(gone.length === 0 ? [] : [`dpkg --purge ${FORCE} ${gone.join(' ')}`]),
    ...(files.length === 0 ? [] : [`dpkg -i ${FORCE} ${files.join(' ')}`]),
  ].join('\n');
}

const SHOWN = `dpkg-query -W -f '\${Package} \${Version} \${db:Status-Want} \${db:Status-Status}\\n' ${NAMES.join(' ')} 2>/dev/null || :`;

async function records(at: PackageEnv): Promise<string[][]> {
  return (await at.run(SHOWN)).split('\n').map((line) => line.split(' '));
}

/** Versions of what is present. */
async function installed(at: PackageEnv): Promise<Installed> {
  const all: Installed = { lib: null, dev: null, app: null, plug: null, user: null };
  for (const [name, version = '', , state = ''] of await records(at)) {
    if (!['', 'not-installed', 'config-files'].includes(state)) all[name as Name] = version;
  }
  return all;
}

/** Held packages, and those of which an installation broke off. */
async function ownState(at: PackageEnv): Promise<Set<string>> {
  const all = await records(at);
  const own = all.filter(
    ([, , want, state]) =>
      want === 'hold' || !['', 'installed', 'not-installed', 'config-files'].includes(state ?? ''),
  );
  return new Set(own.map(([name = '']) => name));
}

/** That dpkg was asked in vain to remove a package is what its administrator wants; with a patch it stays so. */
const truth = (at: PackageEnv): Promise<string> =>
  at.run(
    `dpkg-query -W -f '\${binary:Package} \${Version} \${db:Status-Abbrev}\\n' | sed 's/ [pr]i / ii /'; dpkg --verify; dpkg --audit; apt-get -q check 2>&1 || :`,
  );

/** What apt-get check says of each package, but for what is there instead. */
async function unmet(at: PackageEnv): Promise<string[]> {
  const lines = (await at.run('apt-get -q check 2>&1 || :')).split('\n');
  let of = '';
  return lines
    .filter((line) => /^ /.test(line))
    .map((line) => {
      of = /^ (\S+) :/.exec(line)?.[1] ?? of;
      return `${of} ${line.replace(/^ (\S+ :)?\s*/, '').replace(/ but .*$/, '')}`;
    });
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
