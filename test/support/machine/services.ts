import { DriverLinks } from '../../../src/manager/envs/driver-links.ts';
import { STANDARD_MOUNT } from '../../../src/manager/envs/mount.ts';
import { findDriver } from '../../../src/manager/envs/spawn.ts';
import { envState, envStates } from '../../../src/manager/envs/state.ts';
import { STANDARD_UMOUNT } from '../../../src/manager/envs/umount.ts';
import { peoplesEnvs } from '../../../src/manager/sandbox/owner.ts';
import { importTemplate } from '../../../src/manager/templates/import.ts';
import type { Finding } from '../../../src/manager/upkeep/fsck/finding.ts';
import { createEnv } from '../../../src/services/create-env.ts';
import { type HistoryEntry, history } from '../../../src/services/history.ts';
import { mountAndSetUp } from '../../../src/services/mount-env.ts';
import { type StoreMode, withStore } from '../../../src/services/store-session.ts';
import { beginUnmount } from '../../../src/services/umount-env.ts';
import type { EnvRow, Store } from '../../../src/store/store.ts';

/** Waits for others as long as a command does. */
const PATIENCE = { ms: 60_000, tell: () => undefined };

/** The work that is going on: the environment is one for the whole process. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Does to a root what short commands do, by the same services, without starting a command: the start of Node would be most
 * of what a test of something else takes.
 */
export class Services {
  private readonly root: string;
  /** Variables that commands on this root have. */
  private readonly variables: Readonly<Record<string, string>>;

  constructor(root: string, variables: Readonly<Record<string, string>>) {
    this.root = root;
    this.variables = variables;
  }

  async importTree(template: string, source: string, kind?: 'os' | 'app'): Promise<void> {
    const options = kind === undefined ? {} : { kind };
    await this.inStore('add', (store) => importTemplate(store, template, source, options));
  }

  async create(env: string, os: string, apps: readonly string[]): Promise<void> {
    await this.inStore('write', (store) => createEnv(store, { name: env, os, apps }));
  }

  /**
   * Mounts an env; returns its mount point. Returns null, and does nothing, where a driver would have to be started: from
   * here that would be one that runs from the sources.
   */
  mount(name: string): Promise<string | null> {
    return this.inStore('read', async (store) => {
      const row = named(store, name);
      const driver = await findDriver(this.root, row.shard);
      if (driver === null) return null;
      try {
        const env = await envState(store, row);
        return (await mountAndSetUp(store, env, STANDARD_MOUNT, () => undefined)).mountpoint;
      } finally {
        driver.close();
      }
    });
  }

  /** Unmounts envs, all of them if none is named, and waits until each is closed. */
  async umount(names: readonly string[]): Promise<void> {
    await this.inStore('read', async (store) => {
      const rows = names.length > 0 ? names.map((name) => named(store, name)) : peoplesEnvs(store);
      const drivers = new DriverLinks(this.root);
      try {
        const begun = (await envStates(store, rows)).map((env) =>
          beginUnmount(drivers, env, STANDARD_UMOUNT, () => undefined).then(({ ended }) => ended),
        );
        await Promise.all(begun);
      } finally {
        await drivers.close();
      }
    });
  }

  /** Checks everything below the root, with all contents. */
  findings(): Promise<readonly Finding[]> {
    return this.alone(async () => {
      // Most files of tests do without it, and it is large.
      const { fsck } = await import('../../../src/manager/upkeep/fsck/fsck.ts');
      const options = { full: true, repair: false, patience: PATIENCE };
      return (await fsck(this.root, options)).findings;
    });
  }

  history(): Promise<HistoryEntry[]> {
    return this.inStore('read', (store) => history(store, null));
  }

  private inStore<T>(mode: StoreMode, work: (store: Store) => T | Promise<T>): Promise<T> {
    const session = { root: this.root, patience: PATIENCE, onRecovered: () => undefined };
    return this.alone(() => withStore(session, mode, work));
  }

  /** Works with the variables, when what goes on before is done. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    const done = last.then(() => this.withVariables(work));
    last = done.catch(() => undefined);
    return done;
  }

  private async withVariables<T>(work: () => Promise<T>): Promise<T> {
    const before = { ...process.env };
    Object.assign(process.env, this.variables);
    try {
      return await work();
    } finally {
      for (const name of Object.keys(this.variables)) {
        if (before[name] === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = before[name];
      }
    }
  }
}

function named(store: Store, name: string): EnvRow {
  const row = store.env(name);
  if (row === null) throw new Error(`there is no env ${name}`);
  return row;
}
