import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import type { PatchRecord } from '../../../src/codec/patch-record.ts';
import { output, sh } from '../machine/program.ts';
import { stockRoot, TestRoot } from '../machine/root.ts';
import { buildDeb, type DebDescription } from './deb.ts';
import { TinyEnv } from './tiny-apps.ts';
import { TinySystem, type TinySystems } from './tiny-systems.ts';

/** Where every system and env has the packages of the test, as NAME_VERSION_ARCHITECTURE.deb. */
const DEBS = '/srv/debs';

/**
 * A root with a template `t`, whose versions are states of one tiny Debian system: `machine`, on which packages are installed
 * and removed by dpkg. Envs of it, and plain systems that began as its first version, are given the same commands.
 */
export class PackageRoot {
  readonly root: TestRoot;
  readonly machine: TinySystem;
  private readonly first: string;
  private readonly systems: TinySystems;

  private constructor(root: TestRoot, systems: TinySystems, machine: TinySystem, first: string) {
    this.root = root;
    this.systems = systems;
    this.machine = machine;
    this.first = first;
  }

  /**
   * @param debs packages that all systems have as files
   * @param setUp the commands that make the first version
   */
  static async create(
    systems: TinySystems,
    debs: readonly DebDescription[],
    setUp: string,
  ): Promise<PackageRoot> {
    const first = await firstVersion(systems, debs, setUp);
    const machine = new TinySystem(mkdtempSync(path.join(systems.base, 'machine-')));
    await copyTree(first, machine.root);
    const stock = await stockRoot(`${first}.stock`, (root) => root.import('t', first));
    return new PackageRoot(await TestRoot.create({}, undefined, stock), systems, machine, first);
  }

  /** Builds an app of one package, which the repository that `t` knows has. */
  async app(name: string): Promise<void> {
    const config = path.join(this.root.base, `${name}.yaml`);
    writeFileSync(config, JSON.stringify({ kind: 'app', name, base: 't', packages: [name] }));
    await this.root.ok('template', 'build', config);
  }

  /** Stages what the machine is now as a version of the template. */
  async stage(): Promise<void> {
    await this.root.import('t', this.machine.root);
  }

  /** Runs commands on the machine, and takes all envs to what comes of it. */
  async patch(script: string, ...options: string[]): Promise<PatchRecord> {
    await this.machine.run(inDebs(script));
    await this.stage();
    return this.root.json<PatchRecord>('patch', 't', ...options);
  }

  rollback(...options: string[]): Promise<PatchRecord> {
    return this.root.json<PatchRecord>('rollback', 't', ...options);
  }

  async env(name: string): Promise<PackageEnv> {
    await this.root.create(name, 't');
    await this.root.mount(name);
    return this.at(name);
  }

  /** An env that is there, mounted. */
  at(name: string): PackageEnv {
    return new PackageEnv(path.join(this.root.path, 'mnt', name));
  }

  /** A plain system as the template's first version was. */
  plain(): Promise<PackageEnv> {
    return this.copyOf(this.first);
  }

  /** A plain system as another one is now. */
  plainLike({ mountpoint }: PackageEnv): Promise<PackageEnv> {
    return this.copyOf(mountpoint);
  }

  private async copyOf(directory: string): Promise<PackageEnv> {
    const at = mkdtempSync(path.join(this.systems.base, 'plain-'));
    await copyTree(directory, at);
    return new PackageEnv(at);
  }

  /** Takes an env down for what is done meanwhile, if it is to be tried so. */
  async without<T>(env: string, isUnmounted: boolean, work: () => Promise<T>): Promise<T> {
    if (isUnmounted) await this.root.umount(env);
    const result = await work();
    if (isUnmounted) await this.root.mount(env);
    return result;
  }

  async dispose(): Promise<void> {
    await this.root.dispose();
  }
}

/** Directories of systems in their first version: most tests of a file begin with the same one. */
const made = new Map<string, string>();

async function firstVersion(
  systems: TinySystems,
  debs: readonly DebDescription[],
  setUp: string,
): Promise<string> {
  const key = JSON.stringify([systems.base, debs, setUp]);
  const before = made.get(key);
  if (before !== undefined) return before;
  const system = await systems.system();
  const directory = path.join(system.root, DEBS);
  mkdirSync(directory, { recursive: true });
  for (const deb of debs) await buildDeb(deb, directory);
  await system.run(inDebs(setUp));
  made.set(key, system.root);
  return system.root;
}

/** With devices, owners and times. */
const copyTree = (from: string, to: string): Promise<string> =>
  output('cp', ['--archive', `${from}/.`, to]);

const inDebs = (script: string): string =>
  `cd ${DEBS}; export DEBIAN_FRONTEND=noninteractive\n${script}`;

/** An env, or a plain system, that commands are run in. */
export class PackageEnv {
  readonly mountpoint: string;
  private readonly env: TinyEnv;

  constructor(mountpoint: string) {
    this.mountpoint = mountpoint;
    this.env = new TinyEnv(mountpoint, '');
  }

  /** What a script prints that is run in the directory of packages. @throws if it fails */
  run(script: string): Promise<string> {
    return this.env.run(inDebs(script));
  }

  /** What dpkg says of each package, and what it finds otherwise than the package has it. */
  truth(): Promise<string> {
    return this.run(
      `dpkg-query -W -f '\${binary:Package} \${Version} \${db:Status-Abbrev}\\n'; dpkg --verify; dpkg --audit; apt-get -qq check`,
    );
  }

  /**
   * Paths below a directory, with what they are and a hash of their contents.
   * @param names only what begins with one of these; all if there are none
   */
  async tree(directory: string, names: readonly string[] = []): Promise<string> {
    const paths = names.map((name) => `-path './${name}*'`).join(' -o ');
    const chosen = names.length === 0 ? '' : `'(' ${paths} ')'`;
    const script = `cd "$1$2" 2>/dev/null || exit 0
find . ${chosen} -printf '%p %M %U:%G %l\\n' | sort
find . ${chosen} -type f -exec md5sum {} + | sort`;
    const { code, stdout } = await sh(script, [this.mountpoint, directory]);
    expect(code).toBe(0);
    return stdout;
  }
}
