/**
 * The directory of a running env, `<run>.envs/ID`: its OCI bundle, and what its monitor says (native/monitor.c). It does
 * not survive a reboot, as nothing of what it describes does.
 *
 *     config.json   what the runtime was told
 *     rootfs/       the env's root, id-mapped
 *     volumes/ID/   its volumes, id-mapped
 *     binds/N       what of the machine it is given, id-mapped where that can be
 *     disks/ID/     the file systems of volumes with a size, and disks/devices its devices, until the env has them
 *     images/0      what its processes are made of, until they go on
 *     criu/         CRIU's configuration, and its logs
 *     init          the program of the machine that its first process is
 *     ids           the first one of the machine's ids that it has
 *     resolved/     what systemd-resolved in it is told: resolved.conf(5)
 *     start.json    how the env was started (StartNote); the first file that is made
 *     running       "PID START": its first process, and when that started (proc(5), field 22)
 *     ended         "exit CODE SECONDS" or "signal NUMBER SECONDS": how the first process ended, and when
 *     monitor.lock  held while its monitor lives
 *     frozen        there if the env was frozen, until it is thawed
 *     runtime.log   what the runtime complained of
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { livingProcess } from '../../../base/process-identity.ts';
import { RunDir } from '../../../ipc/run-dir.ts';
import { isHeld } from '../../../native/lock-file.ts';
import { envDir } from '../../../store/store.ts';
import type { IdRange } from './id-ranges.ts';

/** How an env was started. */
export interface StartNote {
  /** True: it was mounted for this, and is unmounted when it is stopped. */
  readonly mounted: boolean;
  /** True: systemd is its first process, which wants to be stopped in its own way. */
  readonly isSystemd: boolean;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  readonly privileged: boolean;
  /** "PID START" of the command that waits for its end, to clear it away (byref run); '' if none does. */
  readonly attendant: string;
}

/** How a first process ended. */
export interface Ended {
  /** Its exit status, or 128 and the number of the signal, as shells say it. */
  readonly code: number;
  readonly atMs: number;
}

const PLACES = ['volumes', 'binds', 'disks', 'images'] as const;
type PlaceKind = (typeof PLACES)[number];

const HELPER = 'init';
const RESOLVED = 'resolved';
const FROZEN = 'frozen';
const TO_GO = 'to go';
const READABLE = 0o755;
const READABLE_FILE = 0o644;
const SIGNAL_BASE = 128;

/**
 * The directories of all envs of a root that run, or did not end well. It is beside the root's run directory, which holds the
 * drivers' sockets: an env's own root user has to reach the root file system that it is given, and no more.
 */
export const bundlesDir = (root: string): string => `${new RunDir(root).path}.envs`;

/** Lets users through, and shows them nothing. */
const SEARCH_ONLY = 0o711;
const S_IXOTH = 0o001;
/** Lets the env's root user through, by its group. */
const GROUP_SEARCH = 0o710;

/** Makes the directory of all bundles. */
export function makeBundlesDir(root: string): void {
  new RunDir(root).create();
  const directory = bundlesDir(root);
  mkdirSync(directory, { recursive: true });
  for (const each of [path.dirname(directory), directory]) chmodSync(each, SEARCH_ONLY);
}

/**
 * Refuses a run directory that root of an env can't get to.
 * @throws ByrefError 'unsupported'
 */
export function refuseClosed(root: string): void {
  const directory = bundlesDir(root);
  for (let at = path.dirname(directory); at !== path.dirname(at); at = path.dirname(at)) {
    if ((statSync(at).mode & S_IXOTH) !== 0) continue;
    const message = `${at} lets only its owner through, and root of an env has to get to ${directory}`;
    const hint = `Do this: chmod o+x ${at}. Or set BYREF_RUN to another place, such as /run/byref.`;
    throw new ByrefError('unsupported', message, hint);
  }
}

/** The ids of envs that have one. */
export function bundleIds(root: string): number[] {
  const directory = bundlesDir(root);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number);
}

/** Reads what a monitor wrote about the end of an env. */
function endedIn(text: string): Ended | null {
  const [how = '', number = '', seconds = ''] = text.trim().split(' ');
  if (how === '') return null;
  const code = how === 'signal' ? SIGNAL_BASE + Number(number) : Number(number);
  return { code, atMs: Number(seconds) * 1000 };
}

/** The directory of one env. Nothing of it needs to exist. */
export class BundleDir {
  readonly path: string;
  readonly rootfs: string;
  /** The runtime's own state of all envs of the root. */
  readonly runtimeState: string;
  /** The name by which the runtime knows the env. */
  readonly name: string;
  /** Held while the env is started or stopped. */
  readonly lock: string;
  /** Beside what the env is: how its first process ended last by itself, for people who ask later. */
  private readonly lastEnd: string;

  constructor(root: string, env: number) {
    const directory = bundlesDir(root);
    this.path = path.join(directory, String(env));
    this.rootfs = path.join(this.path, 'rootfs');
    this.runtimeState = path.join(new RunDir(root).path, 'runtime');
    this.name = `env-${env}`;
    this.lock = path.join(directory, `${env}.lock`);
    this.lastEnd = path.join(envDir(root, env), 'ended');
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** Makes the directory, with its note. */
  make(note: StartNote): void {
    mkdirSync(this.path, { mode: 0o700 });
    this.write('start.json', JSON.stringify(note));
    mkdirSync(this.rootfs, { mode: 0o700 });
  }

  /** Makes a place for a mount, and returns it. */
  makePlace(kind: PlaceKind, name: string, isDirectory = true): string {
    const directory = path.join(this.path, kind);
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, SEARCH_ONLY);
    const place = path.join(directory, name);
    if (isDirectory) mkdirSync(place, { mode: 0o700 });
    else writeFileSync(place, '', { mode: 0o600 });
    return place;
  }

  /** Makes the place of a program of the machine: root of the env could not get to where that is. Returns its path. */
  makeHelper(): string {
    this.write(HELPER, '');
    return path.join(this.path, HELPER);
  }

  /** Makes the directory in which systemd-resolved of the env finds what it is told. Returns its path. */
  makeResolved(): string {
    const directory = path.join(this.path, RESOLVED);
    mkdirSync(directory);
    chmodSync(directory, READABLE);
    return directory;
  }

  /** Tells systemd-resolved something, if makeResolved() was called. */
  tellResolved(text: string): void {
    const file = path.join(this.path, RESOLVED, 'byref.conf');
    if (!existsSync(path.dirname(file))) return;
    writeFileSync(file, text);
    chmodSync(file, READABLE_FILE);
  }

  /** Returns the places of what only the runtime needs: file systems that the env has mounts of its own of, once it runs, and images. */
  passing(): string[] {
    return [...this.places('disks'), ...this.places('images')];
  }

  /** Returns the places where the env's root and what it has beside it are mounted, if they are. */
  mountPoints(): string[] {
    const helper = path.join(this.path, HELPER);
    const helpers = existsSync(helper) ? [helper] : [];
    return [...PLACES.flatMap((kind) => this.places(kind)), ...helpers, this.rootfs];
  }

  private places(kind: PlaceKind): string[] {
    const directory = path.join(this.path, kind);
    if (!existsSync(directory)) return [];
    return readdirSync(directory).map((name) => path.join(directory, name));
  }

  /** Lets the env's root user through, and notes which ids it has. */
  openTo(ids: IdRange): void {
    this.write('ids', String(ids.first));
    chownSync(this.path, 0, ids.first);
    chmodSync(this.path, GROUP_SEARCH);
  }

  /** Returns the first one of the machine's ids that the env has; null if it has none, or that was not noted. */
  firstId(): number | null {
    return Number(this.read('ids')) || null;
  }

  write(name: string, text: string): void {
    writeFileSync(path.join(this.path, name), text, { mode: 0o600 });
  }

  /** Returns the note; null if it was cut short, or there is none. */
  note(): StartNote | null {
    try {
      return JSON.parse(this.read('start.json')) as StartNote;
    } catch {
      return null;
    }
  }

  /** True while a monitor looks after the env, or clears up after it. */
  get isMonitored(): boolean {
    return isHeld(path.join(this.path, 'monitor.lock'), 'at-all');
  }

  /** Returns the pid of the first process, while it lives; else null. */
  firstProcess(): number | null {
    // Of one that has ended, its monitor may not have taken note yet.
    return livingProcess(this.read('running'));
  }

  /** True if people froze the env. It stands still if the kernel says so, too: freezer.ts. */
  get isToBeFrozen(): boolean {
    return existsSync(path.join(this.path, FROZEN));
  }

  /** True if it may run on another machine by now. */
  get isToGo(): boolean {
    return this.read(FROZEN) === TO_GO;
  }

  /** Notes that it is frozen, or is no longer. @param toGo true: its network is locked, too, for it may run on another machine by now */
  noteFrozen(isFrozen: boolean, toGo = false): void {
    if (isFrozen) this.write(FROZEN, toGo ? TO_GO : '');
    else rmSync(path.join(this.path, FROZEN), { force: true });
  }

  /** True while a command waits for the end of the env, to clear it away itself. */
  get isAttended(): boolean {
    return livingProcess(this.note()?.attendant ?? '') !== null;
  }

  /** Returns how the first process ended; null if it has not, or nobody was there to see it. */
  ended(): Ended | null {
    return endedIn(this.read('ended'));
  }

  /** Keeps how it ended beyond the bundle. @param byItself false: somebody stopped it, which is nothing to be asked about */
  keepEnd(byItself: boolean): void {
    const text = this.read('ended');
    if (byItself && text !== '') writeFileSync(this.lastEnd, text, { mode: 0o600 });
    else if (!byItself) rmSync(this.lastEnd, { force: true });
  }

  /** Returns how it ended when it ended by itself, until it is started or stopped again; null if it did not. */
  endedByItself(): Ended | null {
    try {
      return this.ended() ?? endedIn(readFileSync(this.lastEnd, 'utf8'));
    } catch {
      return null;
    }
  }

  /** Returns what the runtime complained of last, in one of its logs; '' if of nothing. */
  complaint(log = 'runtime.log'): string {
    const lines = this.read(log).trim().split('\n');
    const errors = lines.flatMap((line) => {
      try {
        const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
        return level === 'error' && msg !== undefined ? [msg] : [];
      } catch {
        return [];
      }
    });
    return errors.at(-1) ?? '';
  }

  /** Removes the directory. Nothing may be mounted in it: that makes this fail with EBUSY, before anything is removed. */
  remove(): void {
    for (const place of this.mountPoints()) removePlace(place);
    rmSync(this.path, { recursive: true, force: true });
  }

  read(name: string): string {
    try {
      return readFileSync(path.join(this.path, name), 'utf8');
    } catch {
      return '';
    }
  }
}

/** Removes a place, if it is there. @throws Error EBUSY while something is mounted on it */
function removePlace(place: string): void {
  const found = lstatSync(place, { throwIfNoEntry: false });
  if (found?.isDirectory()) rmdirSync(place);
  else if (found) unlinkSync(place);
}
