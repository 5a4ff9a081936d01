/** Turns a copy of a template into a machine of its own, when it is first mounted. */
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../../base/error.ts';
import { readInRoot, replaceInRoot, writeInRoot } from '../../../base/in-root.ts';
import { MANAGED_FILES } from '../../../codec/env-settings.ts';
import { type FileLock, tryLock } from '../../../native/lock-file.ts';
import { setupDir } from '../../../store/store.ts';
import { prepared } from '../../confinement/inside.ts';
import { runInside } from '../../confinement/run-inside.ts';
import { isSystem, type KeptEnv, writeFirst, writeFirstResolver } from '../managed-files.ts';
import { machineIdText } from './identity.ts';
import { hasSetup, readSetup, removeSetup, SETUP_LOCK, type Setup, updateSetup } from './setup.ts';

/** The largest file that is read here: an account file, or one of a few lines. */
const TEXT_MAX = 2 ** 20;
const LOCK_POLL_MS = 50;

/**
 * Does what is left to do of an env's first mount; does nothing if that is complete.
 * @param options of the mount: if it is read-only, the work is left to the next mount
 * @param note hears, in sentences, what a user would not expect
 * @throws ByrefError 'badInput' for templates that have something else where a file is to be, 'error' if a command fails: then
 *   the next mount goes on with that command
 */
export async function finishFirstMount(
  root: string,
  env: { readonly id: number; readonly name: string },
  mountpoint: string,
  options: string,
  note: (text: string) => void,
): Promise<void> {
  if (!hasSetup(root, env.id)) return;
  if (options.split(',').includes('ro')) {
    note(`${env.name} is set up when it is first mounted writable`);
    return;
  }
  const lock = await lockSetup(root, env.id);
  if (lock === null) return;
  try {
    const setup = readSetup(root, env.id);
    if (setup !== null) await new FirstMountOf(root, env, mountpoint, note).finish(setup);
  } finally {
    lock.release();
  }
}

/** Takes the lock of a setup, waiting for another command that holds it. Returns null if that has done everything. */
async function lockSetup(root: string, env: number): Promise<FileLock | null> {
  const file = path.join(setupDir(root, env), SETUP_LOCK);
  for (;;) {
    try {
      const lock = tryLock(file);
      if (lock !== null) return lock;
    } catch (cause) {
      // The other command removes the setup with its lock.
      if (!hasSetup(root, env)) return null;
      throw cause;
    }
    await sleep(LOCK_POLL_MS);
  }
}

class FirstMountOf {
  private readonly root: string;
  private readonly env: { readonly id: number; readonly name: string };
  /** The env's root directory. */
  private readonly at: string;
  private readonly note: (text: string) => void;

  constructor(
    root: string,
    env: { readonly id: number; readonly name: string },
    at: string,
    note: (text: string) => void,
  ) {
    this.note = note;
    this.root = root;
    this.env = env;
    this.at = at;
  }

  async finish(setup: Setup): Promise<void> {
    const { id } = this.env;
    if (!setup.made) {
      this.make(setup);
      await this.makeHostKeys();
      // Without commands nothing is left: a note of that, which waits for the disk, would be removed at once.
      if (setup.runOnce.length > 0) updateSetup(this.root, id, { ...setup, made: true });
    }
    const left = [...setup.runOnce];
    for (let command = left[0]; command !== undefined; command = left[0]) {
      await this.run(command);
      left.shift();
      updateSetup(this.root, id, { ...setup, made: true, runOnce: left });
    }
    removeSetup(this.root, id);
  }

  private make(setup: Setup): void {
    const ofSystem = isSystem(this.at);
    if (ofSystem || setup.hostname !== null) writeFirst(this.kept(), setup.hostname);
    if (ofSystem) {
      writeFirstResolver(this.kept());
      this.giveMachineId();
      this.dropHostKeys();
    }
    if (ofSystem && this.isDirectory('/run') && !this.has('/run/lock')) this.makeLockDir();
    if (setup.passwordHash !== null) this.setPassword(setup.passwordHash);
    if (setup.sshKeys.length > 0) this.addKeys(setup.sshKeys);
    for (const { source, target } of setup.files) {
      const kept = path.join(setupDir(this.root, this.env.id), source);
      replaceInRoot(this.at, target, (at) => {
        copyFileSync(kept, at);
        chmodSync(at, statSync(kept).mode & 0o7777);
      });
    }
  }

  /** True for a real directory; the path alone is looked at, so a symlink to one does not count. */
  private isDirectory(dir: string): boolean {
    return lstatSync(this.at + dir, { throwIfNoEntry: false })?.isDirectory() ?? false;
  }

  private has(file: string): boolean {
    return lstatSync(this.at + file, { throwIfNoEntry: false }) !== undefined;
  }

  private kept(): KeptEnv {
    const { root, env, at: mountpoint, note } = this;
    return { root, env, mountpoint, files: MANAGED_FILES, note };
  }

  private giveMachineId(): void {
    this.put('/etc/machine-id', machineIdText(), 0o444);
    if (!this.isDirectory('/var/lib/dbus')) return;
    replaceInRoot(this.at, '/var/lib/dbus/machine-id', (at) => symlinkSync('/etc/machine-id', at));
  }

  /** Removes the template's ssh host keys, because everybody who has the template has them too. */
  private dropHostKeys(): void {
    if (!this.isDirectory('/etc/ssh')) return;
    for (const name of readdirSync(`${this.at}/etc/ssh`)) {
      if (/^ssh_host_.*_key(?:[.]pub|-cert[.]pub)?$/.test(name)) {
        replaceInRoot(this.at, `/etc/ssh/${name}`);
      }
    }
  }

  private makeLockDir(): void {
    replaceInRoot(this.at, '/run/lock', (at) => {
      mkdirSync(at);
      chmodSync(at, 0o1777);
    });
  }

  private setPassword(hash: string): void {
    const day = Math.floor(Date.now() / 86_400_000);
    const lines = this.read('/etc/shadow').split('\n');
    const at = lines.findIndex((line) => line.startsWith('root:'));
    const [name, , , ...rest] = (at < 0 ? 'root::::0:99999:7:::' : lines[at]!).split(':');
    const line = [name, hash, String(day), ...rest].join(':');
    if (at < 0) lines.unshift(line);
    else lines[at] = line;
    writeInRoot(this.at, '/etc/shadow', lines.join('\n'), 0o640);
  }

  private addKeys(keys: readonly string[]): void {
    const file = '/root/.ssh/authorized_keys';
    const before = this.read(file)
      .split('\n')
      .filter((line) => line !== '');
    const all = [...new Set([...before, ...keys])];
    replaceInRoot(this.at, file, (at) => {
      chmodSync(path.dirname(at), 0o700);
      writeFileSync(at, `${all.join('\n')}\n`, { encoding: 'latin1', mode: 0o600 });
    });
  }

  private read(file: string): string {
    const whole = readInRoot(this.at, file, TEXT_MAX);
    if (whole === undefined) return '';
    if (Buffer.isBuffer(whole)) return whole.toString('latin1');
    const message = `${file} of ${this.env.name} is no regular file of at most 1 MiB`;
    throw new ByrefError('badInput', message, 'Correct the template, or destroy the env.');
  }

  private put(file: string, content: string, mode = 0o644): void {
    replaceInRoot(this.at, file, (at) => {
      writeFileSync(at, content, { encoding: 'latin1', mode, flag: 'wx' });
    });
  }

  /** Makes the missing kinds of ssh host keys, with the env's own ssh-keygen, if it has an ssh server. */
  private async makeHostKeys(): Promise<void> {
    const hasServer = ['/usr/sbin/sshd', '/usr/bin/ssh-keygen'].every((file) => this.has(file));
    if (!hasServer || !this.isDirectory('/etc/ssh')) return;
    const { code, output } = await runInside(this.at, ['/usr/bin/ssh-keygen', '-A']);
    if (code !== 0) this.note(`${this.env.name} has no ssh host keys: ${output}`);
  }

  private async run(command: string): Promise<void> {
    const words = ['/bin/sh', '-c', command];
    const { code, output } = await prepared(this.at, [], () => runInside(this.at, words));
    if (code === 0) return;
    const { name } = this.env;
    const how = code === null ? 'it was killed' : `exit status ${code}`;
    const lines = output === '' ? [] : output.split('\n').map((line) => `    ${line}`);
    const message = [`${name} is mounted, but its command "${command}" failed: ${how}`, ...lines];
    const hint = `Correct what is wrong in the env, then: byref mount ${name}, which tries it again.`;
    throw new ByrefError('error', message, hint);
  }
}
