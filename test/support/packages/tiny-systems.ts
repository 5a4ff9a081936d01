import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { LET_GO } from '../../../src/manager/confinement/confined.ts';
import { mountsBelow, processesNaming } from '../machine/leftovers.ts';
import { type Finished, output, run } from '../machine/program.ts';
import { AptRepo } from './apt-repo.ts';
import { type DebDescription, EPOCH } from './deb.ts';
import type { RepoServer } from './repo-server.ts';
import { appDebs, keptArchive, tinyDebs } from './tiny-os.ts';

/** mmdebstrap's options for a system of all the tiny packages; another --include adds to it. */
export const TINY = ['--variant=custom', '--include=tiny-base'];

/** Where apt in a system has the repository's public key. */
const KEYRING = '/usr/share/keyrings/tests.gpg';
const APT_CONF = `APT::Get::Assume-Yes "true";
Acquire::Retries "0";
DPkg::Use-Pty "false";
`;

/** A repository of the tiny system and the apps, served on the loopback interface; and systems from it. */
export class TinySystems {
  /** Holds all below; removed at the end. */
  readonly base: string;
  readonly repo: AptRepo;
  readonly server: RepoServer;

  private constructor(base: string, repo: AptRepo, server: RepoServer) {
    this.base = base;
    this.repo = repo;
    this.server = server;
  }

  static async create(): Promise<TinySystems> {
    const base = mkdtempSync(path.join(tmpdir(), 'byref-apt-'));
    // apt reads the repository as a user of its own.
    chmodSync(base, 0o755);
    const repo = await AptRepo.create(path.join(base, 'repo'));
    await repo.addDebs(...(await tinyDebs()), ...(await appDebs()));
    await repo.publish();
    return new TinySystems(base, repo, await repo.serve());
  }

  /**
   * Runs mmdebstrap. Its mounts and processes go with its namespaces, however it ends; its temporary
   * files are below `base`.
   *
   * @param options besides suite, archive and source line
   */
  mmdebstrap(
    archive: string,
    options: readonly string[],
    source = this.repo.sourceLine(this.server.url),
  ): Promise<Finished> {
    const isolate = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
    const enter = ['sh', '-c', `${LET_GO} exec "$@"`, 'sh'];
    const words = [...isolate, ...enter, 'mmdebstrap', ...options, 'stable', archive, source];
    return run('unshare', words, {
      env: { ...process.env, TMPDIR: this.base, SOURCE_DATE_EPOCH: String(EPOCH) },
    });
  }

  /** The path of an archive with a new tiny system. */
  static async archive(): Promise<string> {
    return keptArchive('system.tar', async (file) => {
      const systems = await TinySystems.create();
      try {
        await systems.make(file);
      } finally {
        await systems.dispose();
      }
    });
  }

  /** A new tiny system in a directory, whose apt knows the repository. */
  async system(): Promise<TinySystem> {
    const archive = await keptArchive('system.tar', (file) => this.make(file));
    const root = mkdtempSync(path.join(this.base, 'system-'));
    await output('tar', ['--extract', '--file', archive, '--directory', root]);
    mkdirSync(path.dirname(path.join(root, KEYRING)), { recursive: true });
    copyFileSync(this.repo.keyring, path.join(root, KEYRING));
    const source = this.repo.sourceLine(this.server.url, KEYRING);
    writeFileSync(path.join(root, 'etc/apt/sources.list'), `${source}\n`);
    writeFileSync(path.join(root, 'etc/apt/apt.conf.d/tests'), APT_CONF);
    return new TinySystem(root);
  }

  /** Makes a change to the repository; it is published for this test, and `undo` afterwards. */
  async during(change: () => Promise<void>, undo: () => void): Promise<void> {
    onTestFinished(async () => {
      undo();
      await this.repo.publish();
    });
    await change();
    await this.repo.publish();
  }

  /** Runs something while the repository has these packages, too. */
  async publishing<T>(debs: readonly DebDescription[], work: () => Promise<T>): Promise<T> {
    if (debs.length === 0) return work();
    await this.repo.add(...debs);
    await this.repo.publish();
    try {
      return await work();
    } finally {
      for (const { name, version } of debs) this.repo.remove(name, version);
      await this.repo.publish();
    }
  }

  async dispose(): Promise<void> {
    try {
      await this.repo.dispose();
      expect(mountsBelow(this.base), 'mounts left').toEqual([]);
      expect(processesNaming(this.base), 'processes left').toEqual([]);
    } finally {
      if (mountsBelow(this.base).length === 0) rmSync(this.base, { recursive: true, force: true });
    }
  }

  private async make(archive: string): Promise<void> {
    const { code, stderr } = await this.mmdebstrap(archive, TINY);
    expect(code, stderr).toBe(0);
  }
}

/** A root file system that programs are run in by chroot; nothing is mounted there. */
export class TinySystem {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** What a shell script prints. @throws if it fails */
  run(script: string): Promise<string> {
    const environment = ['-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
    return output('chroot', [this.root, '/usr/bin/env', ...environment, 'sh', '-euc', script]);
  }

  /** Brings apt's lists up to date, and installs packages. */
  async install(...packages: string[]): Promise<void> {
    await this.run(`apt-get update && apt-get install ${packages.join(' ')}`);
  }

  /** Names of the installed packages. */
  async installed(): Promise<string[]> {
    return (await this.run("dpkg -l | awk '/^ii/ { print $2 }'")).trim().split('\n');
  }

  /** Packages that are not installed well, and files that are not as packed: lines of dpkg's. */
  complaints(): Promise<string> {
    return this.run(`
      dpkg -l | grep -E '^[a-z]' | grep -v '^ii' || true
      dpkg --audit || true
      dpkg --verify || true`);
  }
}
