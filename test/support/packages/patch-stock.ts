import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { greeter } from '../../../fixtures/apt/packages.ts';
import type { PatchRecord } from '../../../src/codec/patch-record.ts';
import { openStore } from '../../../src/store/store.ts';
import { TestRoot } from '../machine/root.ts';
import { writeBuiltSystem } from './built-system.ts';
import type { DebDescription } from './deb.ts';
import { TinyApps, TinyEnv } from './tiny-apps.ts';
import { tinyPackages } from './tiny-os.ts';
import { TinySystems } from './tiny-systems.ts';

/** Of `based`, which the tiny system has from its second version on. */
export const BASED = 150;
/** Apps of the stock: one package each, of the same name. */
export const APPS = ['userful', 'userful2', 'greeter'];
/** What the tiny system's packages are after its patch. */
export const NEWER = '1.1';

/**
 * A root with the tiny system and apps on it, made once; each test has a copy. Further versions are packages that the
 * repository has for as long as they are built.
 */
export class PatchStock {
  readonly systems: TinySystems;
  private readonly stock: TestRoot;
  /** The tiny system's second version. */
  private readonly newer: string;

  private constructor(systems: TinySystems, stock: TestRoot) {
    this.systems = systems;
    this.stock = stock;
    this.newer = path.join(systems.base, 'tiny-2.tar');
  }

  static async create(): Promise<PatchStock> {
    const systems = await TinySystems.create();
    const apps = await TinyApps.create(systems);
    for (const name of APPS) await apps.build(name, [name]);
    const stock = new PatchStock(systems, apps.root);
    await writeBuiltSystem(systems, stock.newer, [await newerBase()]);
    return stock;
  }

  /** A root of the test's own. */
  async copy(): Promise<PatchedApps> {
    const root = await TestRoot.create();
    rmSync(root.path, { recursive: true });
    cpSync(this.stock.path, root.path, { recursive: true, preserveTimestamps: true });
    return new PatchedApps(TinyApps.over(root, this.systems), this);
  }

  /** Stages the tiny system's second version. */
  async stageNewer(root: TestRoot): Promise<void> {
    await root.import('tiny', this.newer);
  }

  async dispose(): Promise<void> {
    await this.stock.dispose();
    await this.systems.dispose();
  }
}

/** Has another configuration file, a new one, and a user. */
async function newerBase(): Promise<DebDescription> {
  const { 'tiny-base': base } = await tinyPackages();
  const files = { ...base!.files, '/etc/debian_version': 'tiny 2\n', '/usr/share/new': 'new\n' };
  const postinst = `
getent group based >/dev/null || groupadd --system --gid ${BASED} based
getent passwd based >/dev/null ||
  useradd --system --uid ${BASED} --gid based --no-create-home --home-dir /nonexistent based`;
  return { ...base!, version: NEWER, files, scripts: { ...base!.scripts, postinst } };
}

export class PatchedApps {
  readonly apps: TinyApps;
  readonly root: TestRoot;
  readonly stock: PatchStock;

  constructor(apps: TinyApps, stock: PatchStock) {
    this.apps = apps;
    this.root = apps.root;
    this.stock = stock;
  }

  stageNewer(): Promise<void> {
    return this.stock.stageNewer(this.root);
  }

  /** Stages a version of the app greeter. */
  async stageGreeter(version: keyof typeof greeter): Promise<void> {
    await this.stock.systems.publishing([greeter[version]], async () => {
      await this.root.ok('template', 'update', 'greeter');
    });
  }

  /** An env that is there, mounted. */
  async mounted(name: string): Promise<TinyEnv> {
    await this.root.mount(name);
    return new TinyEnv(path.join(this.root.path, 'mnt', name), '');
  }

  patch(template: string, ...options: string[]): Promise<PatchRecord> {
    return this.root.json<PatchRecord>('patch', template, ...options);
  }

  rollback(template: string): Promise<PatchRecord> {
    return this.root.json<PatchRecord>('rollback', template);
  }

  async compositions(): Promise<string[]> {
    const store = await openStore(this.root.path, { write: false });
    try {
      return store.catalog.compositions().map(({ name }) => name);
    } finally {
      await store.close();
    }
  }

  async dispose(): Promise<void> {
    try {
      // What a command that was killed could not remove.
      await this.root.ok('gc');
      await this.apps.expectNothingLeft();
    } finally {
      await this.apps.dispose();
    }
  }
}
