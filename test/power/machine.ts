import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { original, SIZES } from './expected.ts';
import { type FileSystemType, PowerDisk } from './power-disk.ts';

/** A root on a disk whose power can be cut, with a template and an env for each name. */
export class Machine {
  readonly disk: PowerDisk;
  readonly root: TestRoot;
  private readonly envs: readonly string[];
  private boots = 0;

  private constructor(disk: PowerDisk, root: TestRoot, envs: readonly string[]) {
    this.disk = disk;
    this.root = root;
    this.envs = envs;
  }

  static async start(type: FileSystemType, envs: readonly string[]): Promise<Machine> {
    const disk = new PowerDisk(type);
    const root = await TestRoot.create({ BYREF_RESUME: '1' }, disk.place);
    const machine = new Machine(disk, root, envs);
    const source = root.directory('source');
    for (const dir of ['etc', 'usr']) {
      fs.mkdirSync(path.join(source, dir));
      for (const size of Object.keys(SIZES)) {
        const name = `${dir}/${size}`;
        fs.writeFileSync(path.join(source, name), original(name));
      }
      fs.writeFileSync(path.join(source, dir, 'replaced'), 'old');
    }
    await root.import('os', source);
    for (const env of envs) await root.create(env, 'os');
    await machine.mount();
    return machine;
  }

  get mnt(): string {
    return path.join(this.root.path, 'mnt');
  }

  /** The driver is killed; another one goes on. */
  async killDriver(): Promise<void> {
    const { driverPid } = await this.root.info(this.envs[0]!);
    process.kill(driverPid!, 'SIGKILL');
  }

  /**
   * The power goes, and comes back: the envs are mounted again.
   * @param end ends what else uses the root, once the power has gone
   */
  async cut(end: () => Promise<void> = async () => undefined): Promise<void> {
    this.disk.cut();
    await end();
    await this.root.umount();
    await expect.poll(() => this.root.processes()).toEqual([]);
    await this.disk.powerOn();
    this.root.env['BYREF_BOOT_ID'] = String(++this.boots).repeat(32);
    await this.mount();
  }

  private async mount(): Promise<void> {
    const plain = this.envs.filter((env) => env.endsWith('no-passthrough'));
    const others = this.envs.filter((env) => !plain.includes(env));
    if (plain.length > 0) await this.root.ok('mount', '--no-passthrough', ...plain);
    if (others.length > 0) await this.root.ok('mount', ...others);
  }

  async sh(script: string, env: string): Promise<string> {
    const { code, stdout, stderr } = await sh(script, [], { cwd: path.join(this.mnt, env) });
    expect(code, stderr).toBe(0);
    return stdout;
  }

  read(env: string, file: string): Promise<Buffer> {
    return fs.promises.readFile(path.join(this.mnt, env, file));
  }

  /** Fsck finds no damage; what a removal that was not on disk yet left is none. */
  async findsNothing(): Promise<void> {
    interface Finding {
      readonly severity: string;
    }
    const { findings } = await this.root.json<{ findings: Finding[] }>('fsck', '--full');
    expect(findings.filter(({ severity }) => severity !== 'leftover')).toEqual([]);
  }

  /** Files of envs that no record names: none of those that are made here without a name, or lose it. */
  lost(): string[] {
    const all = this.envs.map((_, i) => path.join(this.root.path, `envs/${i + 1}/lost+found`));
    return all.filter((directory) => fs.existsSync(directory));
  }

  async dispose(): Promise<void> {
    await this.root.dispose();
    await this.disk.dispose();
  }
}
