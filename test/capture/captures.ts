import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { abandonedWorkplaces } from '../support/machine/leftovers.ts';
import type { Finished } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { scratchEnvs } from '../support/machine/scratch-envs.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

/** A root with the tiny system as its template `tiny`. */
export class Captures {
  readonly systems: TinySystems;
  readonly root: TestRoot;
  private count = 0;

  private constructor(systems: TinySystems, root: TestRoot) {
    this.systems = systems;
    this.root = root;
  }

  static async create(): Promise<Captures> {
    const systems = await TinySystems.create();
    const root = await TestRoot.create();
    const { root: tree } = await systems.system();
    await root.import('tiny', tree);
    return new Captures(systems, root);
  }

  async dispose(): Promise<void> {
    try {
      expect(await this.scratchEnvs()).toEqual([]);
      expect(abandonedWorkplaces(this.root)).toEqual([]);
      await this.root.dispose();
    } finally {
      await this.systems.dispose();
    }
  }

  /** A directory of the host with these files, all of which can be run. */
  source(files: Readonly<Record<string, string>>): string {
    const directory = this.root.directory(`source${++this.count}`);
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(directory, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, content);
      chmodSync(file, 0o755);
    }
    return directory;
  }

  /** Captures on tiny what a shell script writes. */
  capture(name: string, script: string, ...options: string[]): Promise<Finished> {
    return this.root.byref(...captureWords(name, script, options));
  }

  /** One that must succeed. */
  async captured(name: string, script: string, ...options: string[]): Promise<CaptureJson> {
    return JSON.parse(
      await this.root.ok(...captureWords(name, script, ['--json', ...options])),
    ) as CaptureJson;
  }

  /** With these lines on its standard input. */
  answered(input: string, name: string, script: string, ...options: string[]): Promise<Finished> {
    return this.root.run(captureWords(name, script, options), { input });
  }

  /** An env of tiny and apps, mounted, and a script run in it. */
  async inEnv(apps: readonly string[], script: string): Promise<string> {
    const env = `e${++this.count}`;
    const words = apps.flatMap((app) => ['--app', app]);
    await this.root.ok('create', env, '--os', 'tiny', ...words);
    return this.inside(await this.root.mount(env), script);
  }

  async inside(mountpoint: string, script: string): Promise<string> {
    const quoted = `'${script.replaceAll("'", `'\\''`)}'`;
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const run = `env -i ${path} HOME=/root chroot ${mountpoint} sh -euc ${quoted}`;
    const { code, stdout, stderr } = await this.root.shell(run, '/');
    expect(code, stdout + stderr).toBe(0);
    return stdout;
  }

  /** Paths of a version, without the directories that every app has on the way. */
  async files(ref: string): Promise<string[]> {
    const { stdout } = await this.root.shell(
      `"$1" template export ${ref} - | tar t | sed 's,^[.],,' | grep -v '/$' | sort`,
      '/',
    );
    return stdout.trim().split('\n');
  }

  /** A file of a version. */
  async content(ref: string, file: string): Promise<string> {
    const { stdout } = await this.root.shell(
      `"$1" template export ${ref} - | tar xO .${file}`,
      '/',
    );
    return stdout;
  }

  async templates(): Promise<string[]> {
    const list = await this.root.json<{ name: string; newest: number }[]>('template', 'list');
    return list.map(({ name, newest }) => `${name}@${newest}`);
  }

  scratchEnvs(): Promise<string[]> {
    return scratchEnvs(this.root);
  }
}

const captureWords = (name: string, script: string, options: readonly string[]): string[] => [
  ...['template', 'capture', name, '--base', 'tiny', ...options],
  ...['--', 'sh', '-euc', script],
];

export interface CaptureJson {
  readonly template: string | null;
  readonly version: { readonly number: number; readonly note: string; staged: boolean } | null;
  readonly end: 'stored' | 'unchanged' | 'declined';
  readonly traced: boolean;
  readonly programs: readonly { programs: string; files: number; bytes: number }[];
  readonly findings: readonly { what: string; paths: string[] }[];
  readonly removed: readonly { path: string; programs: string[] }[];
  readonly leftOut: readonly { rule: string; what: string; files: number; paths?: string[] }[];
  readonly passwords: { readonly of: string[]; readonly kept: boolean };
  readonly accounts: { readonly users: { name: string; uid: number }[] };
  readonly paths?: readonly { kind: string; path: string; programs: string[] }[];
}
