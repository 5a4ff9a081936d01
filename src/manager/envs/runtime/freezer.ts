/**
 * Makes all processes of an env stand still for a moment, by the kernel's freezer (cgroup v1 `freezer`, v2 `cgroup.freeze`), and
 * brings the file systems of its volumes with a size to rest.
 *
 * A shell holds both, and undoes both when its input ends: when the command says so, or is killed. It has the lock of the env's life cycle, too,
 * so nobody begins anything with the env before. If the shell itself is killed, the next command that takes that lock undoes them.
 *
 * `byref freeze` uses the same switch for as long as people want, which a note in the env's bundle says: then nothing of the above thaws it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { procText } from '../../../base/proc.ts';
import { runProgram } from '../../../base/run-program.ts';
import { VOLUMES_DIR } from '../../../driver/delta/layout.ts';
import type { FileLock } from '../../../native/lock-file.ts';
import { envDir } from '../../../store/store.ts';
import { devicesOf } from '../volume-image.ts';
import { BundleDir } from './bundle-dir.ts';
import { groupOf, isUnified } from './cgroups.ts';

/** How long processes may take to stand still: one that waits for the disk goes on until it has its answer. */
const FREEZE_MS = 10_000;
const POLL_MS = 1;
/**
 * After how long all are let go for a moment, and told again: the freezer of cgroup v1 may never come to its end while processes of the group
 * are being made (runc does the same).
 */
const AGAIN_MS = 250;
const OUTPUT_MAX = 4096;

/**
 * $1 is the group's file, $2 and $3 what is written to it. Each line of input is a mount point to bring to rest, or `stay`: then processes
 * stand still at the end, too. Each is answered with a line.
 */
const HOLDER = `
  trap '' HUP INT TERM PIPE
  file=$1 frozen=$2 thawed=$3; shift 3
  printf %s "$frozen" >"$file" || exit 1
  while IFS= read -r disk; do
    if [ "$disk" = stay ]; then thawed=$frozen; echo; continue; fi
    if said=$(fsfreeze --freeze "$disk" 2>&1); then set -- "$@" "$disk"; echo
    else echo "$said" | head -n 1; fi
  done
  for disk; do fsfreeze --unfreeze "$disk"; done
  printf %s "$thawed" >"$file"`;

/** An env whose processes stand still. */
export interface Frozen {
  /** Lets them go on. */
  thaw(): Promise<void>;
  /** Has them stand still beyond the end of this process, as freeze() does. Then thaw() lets only disks go on; for the processes, there is the function of that name. */
  stay(): Promise<void>;
}

/** The switch of one env's group. */
class Freezer {
  readonly file: string;
  readonly frozen: string;
  readonly thawed: string;
  private readonly group: string;

  constructor(root: string, env: number) {
    const v2 = isUnified();
    this.group = path.join('/sys/fs/cgroup', v2 ? '' : 'freezer', groupOf(root, env));
    this.file = path.join(this.group, v2 ? 'cgroup.freeze' : 'freezer.state');
    [this.frozen, this.thawed] = v2 ? ['1', '0'] : ['FROZEN', 'THAWED'];
  }

  /** True once all processes stand still. */
  get isStill(): boolean {
    if (this.frozen === 'FROZEN') return procText(this.file).trim() === this.frozen;
    return /^frozen 1$/m.test(procText(path.join(this.group, 'cgroup.events')));
  }

  /** True if processes stand still, or were told to. */
  get isAsked(): boolean {
    const text = procText(this.file).trim();
    return text !== '' && text !== this.thawed;
  }

  async untilStill(): Promise<boolean> {
    const begun = performance.now();
    let again = begun + AGAIN_MS;
    while (!this.isStill) {
      const now = performance.now();
      if (now > begun + FREEZE_MS) return false;
      if (now > again && this.frozen === 'FROZEN') {
        again = now + AGAIN_MS;
        writeFileSync(this.file, this.thawed);
        await sleep(POLL_MS);
        writeFileSync(this.file, this.frozen);
      }
      await sleep(POLL_MS);
    }
    return true;
  }
}

/**
 * Makes the processes of a running env stand still, and its volumes with a size hold no more than what is on disk.
 * @param lock of its life cycle, which the caller has
 * @throws ByrefError 'unsupported' without a freezer, 'busy' if not all stand still in time; then they go on
 */
export async function freezeEnv(
  root: string,
  env: { readonly id: number; readonly name: string },
  lock: FileLock,
): Promise<Frozen> {
  const freezer = freezerOf(root, env);
  // One that people froze stays so.
  const after = isFrozen(root, env.id) ? freezer.frozen : freezer.thawed;
  if (after === freezer.thawed) new BundleDir(root, env.id).noteFrozen(false);
  const words = ['-c', HOLDER, 'byref-freeze', freezer.file, freezer.frozen, after];
  const child = spawn('sh', words, {
    cwd: '/',
    // Not with us, when a terminal's group is killed.
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore', lock.fd],
  });
  const { stdin, stdout } = child;
  const ended = once(child, 'exit');
  const thaw = async (): Promise<void> => {
    stdin?.end();
    await ended;
  };
  try {
    if (!(await freezer.untilStill())) throw busy(env.name, 'a process of it waits for something');
    const answers = linesOf(stdout);
    for (const disk of disksOf(root, env)) {
      stdin?.write(`${disk}\n`);
      const said = (await answers.next()).value ?? 'the shell ended';
      if (said !== '') throw busy(env.name, said);
    }
    const stay = async (): Promise<void> => {
      stdin?.write('stay\n');
      await answers.next();
    };
    return { thaw, stay };
  } catch (error) {
    await thaw();
    throw error;
  }
}

/** @throws ByrefError 'unsupported' without a freezer */
function freezerOf(root: string, env: { readonly id: number; readonly name: string }): Freezer {
  const freezer = new Freezer(root, env.id);
  if (procText(freezer.file) !== '') return freezer;
  const message = `the kernel can't make ${env.name} stand still: there is no ${freezer.file}`;
  throw new ByrefError('unsupported', message, `Stop it first: byref stop ${env.name}`);
}

/** True if people froze the env, and have not thawed it. */
export const isFrozen = (root: string, env: number): boolean =>
  new BundleDir(root, env).isToBeFrozen && new Freezer(root, env).isAsked;

/**
 * Makes the processes of a running env stand still until thaw(), beyond the end of this process.
 * @throws ByrefError 'unsupported' without a freezer, 'busy' if not all stand still in time; then they go on
 */
export async function freeze(
  root: string,
  env: { readonly id: number; readonly name: string },
): Promise<void> {
  const freezer = freezerOf(root, env);
  // In this order, who is killed in between leaves an env that runs.
  new BundleDir(root, env.id).noteFrozen(true);
  failpoint('freeze-noted');
  writeFileSync(freezer.file, freezer.frozen);
  if (await freezer.untilStill()) return;
  thaw(root, env.id);
  throw busy(env.name, 'a process of it waits for something');
}

/** Lets the processes of an env go on that people froze. @returns false if nobody has */
export function thaw(root: string, env: number): boolean {
  if (!isFrozen(root, env)) return false;
  const freezer = new Freezer(root, env);
  // In this order, who is killed in between leaves an env that the next command with its lock thaws.
  new BundleDir(root, env).noteFrozen(false);
  failpoint('thaw-noted');
  writeFileSync(freezer.file, freezer.thawed);
  return true;
}

/** Undoes what the shell of a command that was killed left, because it was killed, too. The caller has the env's lock. */
export async function thawLeft(root: string, env: number): Promise<void> {
  const freezer = new Freezer(root, env);
  if (!freezer.isAsked) return;
  for (const disk of disksOf(root, { id: env, name: '' }))
    await runProgram(['fsfreeze', '--unfreeze', disk], { outputMax: OUTPUT_MAX, ofMore: 'end' });
  if (!isFrozen(root, env)) writeFileSync(freezer.file, freezer.thawed);
}

/**
 * Returns paths of the machine that lead to the file systems of volumes with a size. Only a running env has them mounted, where no path
 * of the machine leads but through one of its processes.
 */
function disksOf(root: string, env: { readonly id: number; readonly name: string }): string[] {
  const devices = devicesOf(path.join(envDir(root, env.id), VOLUMES_DIR));
  if (devices.length === 0) return [];
  const first = new BundleDir(root, env.id).firstProcess();
  const mounts = procText(`/proc/${first}/mountinfo`).split('\n');
  return devices.map((device) => {
    for (const line of mounts) {
      const [, , number, within, at = ''] = line.split(' ');
      if (number !== device || within !== '/' || at.includes('\\')) continue;
      const place = `/proc/${first}/root${at}`;
      // The env may have mounted something else over it, or put a symlink of its own in the way.
      if (numberOf(statSync(place, { throwIfNoEntry: false })?.dev ?? 0) === device) return place;
    }
    throw busy(env.name, 'a volume with a size is not to be found where it was mounted');
  });
}

/** The number of a device as the kernel writes it; of a loop device, both parts are small. */
const numberOf = (dev: number): string => `${dev >> 8}:${dev & 0xff}`;

async function* linesOf(stream: Readable | null): AsyncGenerator<string, undefined> {
  let text = '';
  for await (const piece of stream ?? []) {
    text += String(piece);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
  return undefined;
}

function busy(name: string, why: string): ByrefError {
  const message = `${name} can't be made to stand still: ${why}`;
  return new ByrefError('busy', message, `Try again, or stop it first: byref stop ${name}`);
}
