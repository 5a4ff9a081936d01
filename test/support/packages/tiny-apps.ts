import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { abandonedWorkplaces, mountsBelow, processesNaming } from '../machine/leftovers.ts';
import { BYREF, type Finished, sh } from '../machine/program.ts';
import { stockRoot, TestRoot } from '../machine/root.ts';
import { scratchEnvs } from '../machine/scratch-envs.ts';
import { writeBuiltSystem } from './built-system.ts';
import type { TinySystems } from './tiny-systems.ts';

export interface BuiltJson {
  readonly version: {
    readonly number: number;
    readonly note: string;
    readonly staged: boolean;
    readonly base: { readonly templateId: number; readonly version: number } | null;
  } | null;
  readonly packages: readonly { name: string; was: string | null; is: string | null }[];
  readonly notes: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/** A root with the tiny system as template `tiny`, and applications that are built on it. */
export class TinyApps {
  readonly root: TestRoot;
  readonly systems: TinySystems;

  private constructor(root: TestRoot, systems: TinySystems) {
    this.root = root;
    this.systems = systems;
  }

  /** @param root the root to take; a new one if not given */
  static async create(systems: TinySystems, root?: TestRoot): Promise<TinyApps> {
    if (root === undefined)
      return TinyApps.over(await TestRoot.create({}, undefined, await stock(systems)), systems);
    await root.import('tiny', await tinyTemplate(systems));
    return TinyApps.over(root, systems);
  }

  /** Of a root that has all that already. */
  static over(root: TestRoot, systems: TinySystems): TinyApps {
    return new TinyApps(root, systems);
  }

  /** A configuration's file. Without `kind`, that of an app on `tiny`. */
  config(name: string, fields: Fields): string {
    const file = path.join(this.root.base, `${name}.yaml`);
    const app = { kind: 'app', name, base: 'tiny', ...fields };
    writeFileSync(file, JSON.stringify(app, null, 1));
    return file;
  }

  /** Builds a version of an app. */
  build(name: string, packages: readonly string[], fields: Fields = {}): Promise<BuiltJson> {
    return this.root.json('template', 'build', this.config(name, { packages, ...fields }));
  }

  /** A build that fails: what it says. Nothing of it may be left. */
  async refused(fields: Fields): Promise<{ code: number; stderr: string }> {
    const before = await this.templates();
    const { code, stderr } = await this.root.byref('template', 'build', this.config('bad', fields));
    expect(await this.templates()).toEqual(before);
    await this.expectNothingLeft();
    return { code, stderr };
  }

  /** Of envs, mounts, processes and directories that were made to build or to compose. */
  async expectNothingLeft(): Promise<void> {
    expect(await scratchEnvs(this.root)).toEqual([]);
    expect(mountsBelow(this.root.base).filter((at) => at.includes('scratch.'))).toEqual([]);
    // Of a command that was killed, they end a moment later.
    const processes = () =>
      ['mnt', 'scratch'].flatMap((name) => processesNaming(path.join(this.root.path, name)));
    await expect.poll(processes, { timeout: 10_000 }).toEqual([]);
    expect(abandonedWorkplaces(this.root)).toEqual([]);
  }

  /** Makes an env with apps, and mounts it. */
  async env(name: string, ...apps: readonly string[]): Promise<TinyEnv> {
    const notes = await this.create(name, ...apps);
    expect(notes.code, notes.stderr).toBe(0);
    // Not `info`: one question less.
    const [mounted] = await this.root.json<{ mountpoint: string }[]>('mount', name);
    return new TinyEnv(mounted!.mountpoint, notes.stderr);
  }

  create(name: string, ...apps: readonly string[]): Promise<Finished> {
    const words = apps.flatMap((app) => ['--app', app]);
    return this.root.byref('create', name, '--os', 'tiny', ...words);
  }

  /** Paths in a template, of directories with a slash at the end. */
  async members(template: string): Promise<string[]> {
    const list = await this.tar(template, '--list');
    return list.trim().split('\n').sort();
  }

  /** A hash of all that a template is: names, attributes, times, contents. */
  async digest(template: string): Promise<string> {
    const script = '"$1" template export "$2" - | sha256sum';
    return (await sh(script, [BYREF, template], { env: this.root.env })).stdout;
  }

  /** What tar says of a template's archive. */
  async tar(template: string, ...words: readonly string[]): Promise<string> {
    const script =
      'byref=$1 template=$2; shift 2; "$byref" template export "$template" - | tar "$@"';
    const { code, stdout, stderr } = await sh(script, [BYREF, template, ...words], {
      env: this.root.env,
    });
    expect(code, stderr).toBe(0);
    return stdout;
  }

  dispose(): Promise<void> {
    return this.root.dispose();
  }

  private async templates(): Promise<object[]> {
    const all = await this.root.json<{ name: string; newest: number }[]>('template', 'list');
    return all.map(({ name, newest }) => ({ name, newest }));
  }
}

/** A mounted env of the tiny system. */
export class TinyEnv {
  readonly mountpoint: string;
  /** What was said when it was made. */
  readonly notes: string;

  constructor(mountpoint: string, notes: string) {
    this.mountpoint = mountpoint;
    this.notes = notes;
  }

  /** What a script prints that is run in it, errors included. @throws if it fails */
  async run(script: string): Promise<string> {
    const enter =
      'exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot "$1" sh -euc "$2" 2>&1';
    const { code, stdout } = await sh(enter, [this.mountpoint, script]);
    expect(code, stdout).toBe(0);
    return stdout;
  }

  /** What dpkg and apt find wrong; '' if all is well. */
  complaints(): Promise<string> {
    return this.run(
      `dpkg -l | grep -E '^[a-z]' | grep -v '^ii' || :; dpkg --verify; dpkg --audit; apt-get -qq check`,
    );
  }

  /** NAME VERSION of each package, beside those of the tiny system. */
  async packages(): Promise<string[]> {
    const all = await this.run("dpkg-query -W | tr '\t' ' '");
    return all
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('tiny-'))
      .sort();
  }
}

/** Returns the directory of a root that has the tiny system. */
const stock = (systems: TinySystems): Promise<string> =>
  stockRoot(path.join(systems.base, 'stock'), async (root) =>
    root.import('tiny', await tinyTemplate(systems)),
  );

/** Returns the tiny system as a template's archive, whose apt knows the repository. */
async function tinyTemplate(systems: TinySystems): Promise<string> {
  const file = path.join(systems.base, 'tiny-template.tar');
  if (!existsSync(file)) await writeBuiltSystem(systems, file);
  return file;
}
