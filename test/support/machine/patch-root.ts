import { lutimesSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { PatchRecord } from '../../../src/codec/patch-record.ts';
import type { PatchPlan } from '../../../src/manager/rollout/plan.ts';
import { type Finished, sh } from './program.ts';
import { TestRoot } from './root.ts';

/** Files by path: a text, or `-> TARGET` for a symlink. */
export type Files = Readonly<Record<string, string>>;

/** A root with one OS template `t`, and what tests of patches do with it. */
export class PatchRoot {
  readonly root: TestRoot;
  private versions = 0;

  private constructor(root: TestRoot) {
    this.root = root;
  }

  /** @param parent the directory to make the root in, if not the temporary one */
  static async create(parent?: string): Promise<PatchRoot> {
    return new PatchRoot(await TestRoot.create({}, parent));
  }

  /** Imports the files as the next version of a template. */
  async version(files: Files, template = 't', ...options: string[]): Promise<void> {
    const dir = path.join(this.root.base, `version-${this.versions++}`);
    writeFiles(dir, files);
    if (options.length > 0) await this.root.ok('template', 'import', template, dir, ...options);
    else await this.root.import(template, dir);
    rmSync(dir, { recursive: true });
  }

  /** Makes envs of `t`, and mounts them. */
  async envs(...names: string[]): Promise<void> {
    for (const name of names) await this.root.create(name, 't');
    if (names.length > 0) await this.root.ok('mount', ...names);
  }

  mount(env: string): string {
    return path.join(this.root.path, 'mnt', env);
  }

  /** Runs a script in an env's root directory, from outside. */
  in(env: string, script: string): Promise<Finished> {
    return sh(script, [], { cwd: this.mount(env) });
  }

  /** What a script in an env prints; '!' and its code in front if it fails. */
  async out(env: string, script: string): Promise<string> {
    const { code, stdout } = await this.in(env, script);
    return code === 0 ? stdout : `!${code} ${stdout}`;
  }

  patch(...options: string[]): Promise<PatchRecord> {
    return this.root.json<PatchRecord>('patch', 't', ...options);
  }

  rollback(...options: string[]): Promise<PatchRecord> {
    return this.root.json<PatchRecord>('rollback', 't', ...options);
  }

  async plan(...options: string[]): Promise<PatchPlan> {
    const { stdout } = await this.root.byref('patch', 't', '--check', '--json', ...options);
    return JSON.parse(stdout) as PatchPlan;
  }

  dispose(): Promise<void> {
    return this.root.dispose();
  }
}

export function writeFiles(dir: string, files: Files): void {
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(dir, name);
    mkdirSync(path.dirname(file), { recursive: true });
    if (text.startsWith('-> ')) symlinkSync(text.slice(3), file);
    else writeFileSync(file, text);
    // The same in each version: what has the same content is the same file.
    lutimesSync(file, BUILT, BUILT);
  }
}

const BUILT = new Date('2026-01-01T00:00:00Z');
