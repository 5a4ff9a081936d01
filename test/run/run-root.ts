import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { BYREF, output, sh } from '../support/machine/program.ts';
import { stockRoot, TestRoot } from '../support/machine/root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

/** The version that envs begin with. */
const FIRST = '1.0';
const CGROUPS = '/sys/fs/cgroup';

let archive: string;

/** A root with the tiny system as the template `tiny`, for tests of envs that run. */
export class RunRoot {
  readonly root: TestRoot;
  readonly byref = BYREF;

  private constructor(root: TestRoot) {
    this.root = root;
  }

  /** Makes the system, if no test of this machine has. */
  static async prepare(): Promise<void> {
    archive = await TinySystems.archive();
  }

  static async create(extra: NodeJS.ProcessEnv = {}): Promise<RunRoot> {
    const stock = await stockRoot(path.join(tmpdir(), 'byref-run-stock'), (root) =>
      new RunRoot(root).addVersion(FIRST),
    );
    return new RunRoot(await TestRoot.create(extra, undefined, stock));
  }

  /** Adds a version of the template that differs in a file and in the program `sleep`. */
  private async addVersion(release: string, ...options: string[]): Promise<void> {
    const tree = this.root.directory(`tiny-${release}`);
    await output('tar', ['--extract', '--file', archive, '--directory', tree]);
    writeFileSync(path.join(tree, 'etc/release-of-test'), `${release}\n`);
    // A program that does the same.
    if (release !== FIRST) appendFileSync(path.join(tree, 'usr/bin/sleep'), release);
    await this.root.ok('template', 'import', 'tiny', tree, '--kind', 'os', ...options);
  }

  /** Adds the version that a patch goes to. */
  stage(release: string): Promise<void> {
    return this.addVersion(release);
  }

  /** What a script prints in a running env. */
  exec(env: string, script: string): Promise<string> {
    return inRunning(this.root, env, script);
  }

  /** The pid of the monitor of an env that runs. */
  monitor(env: string): number {
    const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const found = ids.find((pid) => {
      const words = this.commandLine(pid);
      return (
        words[0]?.endsWith('/byref-monitor') &&
        words.includes(path.join(this.root.path, 'mnt', env))
      );
    });
    return Number(found);
  }

  private commandLine(pid: string): string[] {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    } catch {
      return [];
    }
  }

  bundles(): string[] {
    return bundlesOf(this.root);
  }

  leftovers(): string[] {
    return leftoversOf(this.root);
  }

  /**
   * Ends the holder, once nothing is mounted. A driver that a killed command had started dies at failpoints, too: if that is when
   * it closes an env, the holder lets go of the device half a minute later, which is longer than a test waits.
   */
  async endHolder(): Promise<void> {
    await this.root.byref('stop', '--all', '--fast');
    await this.root.byref('umount', '--all');
    const holders = this.root.processes().filter((line) => line.includes('byref-holder'));
    // One may end by itself meanwhile.
    for (const line of holders) await sh('kill -9 "$1" || :', [String(Number.parseInt(line, 10))]);
  }

  async dispose(): Promise<void> {
    await this.root.byref('stop', '--all', '--fast');
    const left = this.leftovers();
    await this.root.dispose();
    expect(left).toEqual([]);
  }
}

/** What a script prints in a running env. */
export async function inRunning(root: TestRoot, env: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await root.byref('exec', env, '--', 'bash', '-c', script);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

/** The bundles of envs that run. */
function bundlesOf(root: TestRoot): string[] {
  const run = root.env['BYREF_RUN'] ?? '';
  return readdirSync(run)
    .filter((name) => name.endsWith('.envs'))
    .flatMap((name) =>
      readdirSync(path.join(run, name))
        .filter((entry) => /^\d+$/.test(entry))
        .map((entry) => path.join(run, name, entry)),
    );
}

/** What envs that do not run have left: bundles, groups, mounts, ids. */
export function leftoversOf(root: TestRoot): string[] {
  const run = root.env['BYREF_RUN'] ?? '';
  const ids = path.join(run, 'ids');
  // A range whose bundle is gone is free.
  const taken = existsSync(ids)
    ? readdirSync(ids).filter((slot) => existsSync(path.join(ids, slot)))
    : [];
  const keys = readdirSync(run)
    .filter((name) => name.endsWith('.envs'))
    .map((name) => name.replace('.envs', ''));
  const groups = readdirSync(CGROUPS).flatMap((hierarchy) =>
    keys.map((key) => path.join(CGROUPS, hierarchy, 'byref', key)).filter((at) => existsSync(at)),
  );
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(run));
  return [...bundlesOf(root), ...taken.map((slot) => `ids ${slot}`), ...groups, ...mounts];
}
