import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { output } from '../machine/program.ts';
import { buildDeb, type DebDescription, EPOCH, nativeArchitecture } from './deb.ts';
import { RepoServer } from './repo-server.ts';
import { SigningKey } from './signing-key.ts';

const POOL = 'pool/main';

/** What a repository of one suite and one component is called. */
interface RepoNames {
  readonly suite: string;
  readonly component: string;
}
const NAMES: RepoNames = { suite: 'stable', component: 'main' };
/** Seconds between two states of a repository, so that apt takes the later one to be newer. */
const STEP = 3600;

/** A package in the pool, and what the index says of it. */
interface Published {
  readonly name: string;
  readonly version: string;
  readonly stanza: string;
}

/**
 * A signed apt repository in a directory. What add() and remove() change is seen after publish():
 *
 *     const repo = await AptRepo.create(directory);
 *     await repo.add({ name: 'greeter', version: '1.0', files: { '/usr/bin/greet': '#!/bin/sh\n...' } });
 *     await repo.publish();
 *     // mmdebstrap ... stable OUT.tar "${repo.sourceLine((await repo.serve()).url)}"
 *     await repo.dispose();
 *
 * The same descriptions make the same packages, indices and Release, byte by byte; only keys differ.
 */
export class AptRepo {
  /** Holds dists/ and pool/. */
  readonly root: string;
  /** The public key, in a file that apt's `signed-by` takes. */
  readonly keyring: string;
  private readonly base: string;
  private readonly key: SigningKey;
  private signer: SigningKey;
  /** By file name. */
  private readonly packages = new Map<string, Published>();
  private readonly servers: RepoServer[] = [];
  private states = 0;

  private readonly names: RepoNames;

  private constructor(base: string, key: SigningKey, names: RepoNames) {
    this.names = names;
    this.base = base;
    this.root = path.join(base, 'repository');
    this.keyring = path.join(base, 'keyring.gpg');
    this.key = key;
    this.signer = key;
  }

  /** @param base a directory to make it in; whoever made that removes it, after dispose() */
  static async create(base: string, names: Partial<RepoNames> = {}): Promise<AptRepo> {
    const key = await SigningKey.create(path.join(base, 'key'), EPOCH);
    const repo = new AptRepo(base, key, { ...NAMES, ...names });
    for (const directory of [base, repo.root]) {
      mkdirSync(directory, { recursive: true });
      // apt reads it as a user of its own.
      chmodSync(directory, 0o755);
    }
    mkdirSync(path.join(repo.root, POOL), { recursive: true });
    mkdirSync(repo.staged);
    await repo.key.exportTo(repo.keyring, EPOCH);
    return repo;
  }

  /** `file://...`; mmdebstrap then needs its hook file-mirror-automount. */
  get url(): string {
    return pathToFileURL(this.root).href;
  }

  /** `copy://...`: as a file, but apt brings packages into its own cache, so mmdebstrap needs no hook. */
  get copyUrl(): string {
    return this.url.replace('file:', 'copy:');
  }

  /**
   * The line for sources.list, and mmdebstrap's last argument.
   *
   * @param url where apt finds it: this.url, this.copyUrl or a server's
   * @param keyring this.keyring's path as apt sees it, which is another in a chroot
   */
  sourceLine(url = this.url, keyring = this.keyring): string {
    return `deb [signed-by=${keyring}] ${url} ${this.names.suite} ${this.names.component}`;
  }

  /** Builds packages. One of the same name and version replaces the former. */
  async add(...descriptions: readonly DebDescription[]): Promise<void> {
    for (const description of descriptions)
      await this.enter(await buildDeb(description, this.staged));
  }

  /** Takes packages that are built already. */
  async addDebs(...files: readonly string[]): Promise<void> {
    for (const file of files) {
      const copy = path.join(this.staged, path.basename(file));
      copyFileSync(file, copy);
      await this.enter(copy);
    }
  }

  /** @throws if there is no such package */
  remove(name: string, version: string): void {
    const found = [...this.packages].find(
      ([, published]) => published.name === name && published.version === version,
    );
    if (found === undefined) throw new Error(`no ${name} ${version} in the repository`);
    this.packages.delete(found[0]);
  }

  /** From now on publish() signs with a new key, which is not in the keyring. */
  async signWithAnotherKey(): Promise<void> {
    this.signer = await SigningKey.create(path.join(this.base, `key-${this.states}`), EPOCH);
  }

  /** From now on publish() signs with the key in the keyring, as at first. */
  signWithOwnKey(): void {
    this.signer = this.key;
  }

  /** Makes what was added and removed the state that apt sees, at once, and signs it. */
  async publish(): Promise<void> {
    const time = EPOCH + STEP * this.states++;
    const next = path.join(this.base, 'dists-next');
    await this.writeIndices(path.join(next, this.names.suite), time);
    for (const file of readdirSync(this.staged).filter((name) => this.packages.has(name)))
      renameSync(path.join(this.staged, file), path.join(this.root, POOL, file));
    // Packages first, then the indices that name them, and last what no index names any more.
    const dists = path.join(this.root, 'dists');
    rmSync(dists, { recursive: true, force: true });
    renameSync(next, dists);
    for (const file of readdirSync(path.join(this.root, POOL)))
      if (!this.packages.has(file)) rmSync(path.join(this.root, POOL, file));
  }

  /** Serves it by HTTP until dispose(); what is published later is served too. */
  async serve(): Promise<RepoServer> {
    const server = await RepoServer.start(this.root);
    this.servers.push(server);
    return server;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }

  /** Packages that the next publish() puts into the pool. */
  private get staged(): string {
    return path.join(this.base, 'staged');
  }

  private async enter(file: string): Promise<void> {
    const control = await output('dpkg-deb', ['--field', file]);
    const field = (name: string): string =>
      new RegExp(`^${name}: (.*)$`, 'm').exec(control)?.[1] ?? '';
    const content = readFileSync(file);
    const name = path.basename(file);
    this.packages.set(name, {
      name: field('Package'),
      version: field('Version'),
      stanza: `${control}Filename: ${POOL}/${name}\nSize: ${content.length}\nSHA256: ${sha256(content)}\n`,
    });
  }

  private async writeIndices(suite: string, time: number): Promise<void> {
    const arch = await nativeArchitecture();
    const index = `${this.names.component}/binary-${arch}/Packages`;
    const packages = [...this.packages.keys()]
      .sort()
      .map((file) => this.packages.get(file)!.stanza)
      .join('\n');
    const release = releaseText(this.names, { arch, time, index, packages });
    const files = {
      [index]: packages,
      Release: release,
      InRelease: await this.signer.clearsign(release, time),
    };
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(suite, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
      // apt takes a file of the same size and time to be the one that it has.
      utimesSync(file, time, time);
    }
  }
}

interface Release {
  readonly arch: string;
  readonly time: number;
  readonly index: string;
  readonly packages: string;
}

function releaseText(
  { suite, component }: RepoNames,
  { arch, time, index, packages }: Release,
): string {
  return `Origin: byref tests
Label: byref tests
Suite: ${suite}
Codename: ${suite}
Date: ${new Date(time * 1000).toUTCString().replace('GMT', 'UTC')}
Architectures: ${arch}
Components: ${component}
Description: packages of byref's tests
SHA256:
 ${sha256(packages)} ${Buffer.byteLength(packages)} ${index}
`;
}

const sha256 = (content: Buffer | string): string =>
  createHash('sha256').update(content).digest('hex');
