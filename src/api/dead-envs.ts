/** Tells of envs whose mounts have ended, as their driver and its holder were killed, and starts those again that are to run. */

import { envMounts } from '../ipc/mount-table.ts';
import { hasEnded } from '../manager/envs/ended-mount.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import type { EnvSummary } from '../manager/envs/summary.ts';
import type { SupervisorPorts } from './supervisor.ts';

/** Looks after the envs of one root. */
export class DeadEnvs {
  private readonly root: string;
  private readonly ports: Omit<SupervisorPorts, 'tell'>;
  /** Those that were told of, and have not been seen alive since. */
  private readonly known = new Set<number>();

  constructor(root: string, ports: Omit<SupervisorPorts, 'tell'>) {
    this.root = root;
    this.ports = ports;
  }

  /** Looks at envs as they were seen. Never rejects. */
  async look(envs: readonly EnvSummary[]): Promise<void> {
    const dead = envs.filter(({ state }) => state === 'dead');
    for (const env of this.known) if (!dead.some(({ id }) => id === env)) this.known.delete(env);
    const found = dead.filter(({ id }) => !this.known.has(id));
    for (const { id } of found) this.known.add(id);
    for (const { id, name } of found) {
      try {
        await this.lookAt(id, name);
      } catch (error) {
        this.ports.log.warn({ env: id, name, err: error }, 'an env without a driver');
      }
    }
  }

  private async lookAt(env: number, name: string): Promise<void> {
    const { log, run, policies } = this.ports;
    const mount = envMounts(this.root).get(env);
    if (mount === undefined) return;
    const { mountpoint } = mount;
    if (!(await hasEnded(this.root, mount))) {
      // It may have been taken over meanwhile.
      log.debug({ env, name, mountpoint }, 'its driver is gone: what uses it waits');
      this.known.delete(env);
      return;
    }
    log.warn(
      { env, name, mountpoint },
      'its driver and the holder were killed: what uses it gets errors, until it is mounted again',
    );
    if (!new BundleDir(this.root, env).exists) return;
    const policy = (await policies()).get(env);
    if (policy !== undefined && (policy.autostart || policy.restart.when !== 'no'))
      for (const words of [['stop', '--fast'], ['start']]) await run([...words, '--', name]);
  }
}
