import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { nameFromText } from '../base/ids.ts';
import { nameCookie } from '../base/name-hash.ts';
import { runPlace } from '../base/run-place.ts';

const RUN_HINT = 'Set BYREF_RUN to a directory that only root can write to, such as /run/byref.';

/** The longest path of a unix socket, in bytes (unix(7): 108 with the NUL). */
const SOCKET_PATH_MAX = 107;
const SOCKET_ENDING = '.sock'.length;
/** Write permission of users who are not the owner. */
const S_IWOTHERS = 0o022;

/**
 * The directory where the live processes of one root meet: sockets, locks and logs. Each root has one below
 * /run/byref (or BYREF_RUN). Nothing in it survives a reboot, or has to. Commands run as root trust what is in it, so nobody
 * else may be able to write to it.
 */
export class RunDir {
  readonly path: string;
  private readonly base: string;

  /** @param root absolute path of the root */
  constructor(root: string) {
    this.base = runPlace();
    this.path = path.join(this.base, nameCookie(nameFromText(root)).toString(16));
  }

  /**
   * Makes the directory; only root may look inside.
   * @throws ByrefError 'unsupported' where it can't be made, or another user can write to it
   */
  create(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    } catch (error) {
      const message = `the directory for sockets can't be made: ${(error as Error).message}`;
      throw new ByrefError('unsupported', message, RUN_HINT, { cause: error });
    }
    this.refuseOthers();
  }

  /** Refuses directories that another user has, or can write to. One that is not there has nothing in it. */
  private refuseOthers(): void {
    for (const directory of [this.base, this.path]) {
      const found = lstatSync(directory, { throwIfNoEntry: false });
      if (found === undefined) return;
      const why = whyNotOurs(found);
      if (why === null) continue;
      throw new ByrefError('unsupported', `the run directory ${directory} ${why}`, RUN_HINT);
    }
  }

  /** Returns the paths of the files of a shard's driver. @throws ByrefError 'usage' if a socket's path is too long */
  driver(shard: number): ProcessFiles {
    return this.files(`shard-${shard}`);
  }

  /** Returns the paths of the holder's files. @throws as driver() */
  holder(): ProcessFiles {
    return this.files('holder');
  }

  /** Returns the paths of the daemon's files. @throws as driver() */
  daemon(): ProcessFiles {
    return this.files('daemon');
  }

  /** Returns the paths of the files of the daemon's runner. @throws as driver() */
  runner(): ProcessFiles {
    return this.files('runner');
  }

  /** The directory of operations, which a daemon keeps. */
  get operations(): string {
    return path.join(this.path, 'operations');
  }

  /** The directory of what drivers leave for those that go on with their mounts, if they are killed. */
  get served(): string {
    return path.join(this.path, 'served');
  }

  /** Returns the file in which the driver of a mounted env notes what was mounted. */
  noteOf(env: number): string {
    return path.join(this.served, `${env}.json`);
  }

  private files(name: string): ProcessFiles {
    this.refuseOthers();
    const stem = path.join(this.path, name);
    if (Buffer.byteLength(stem) + SOCKET_ENDING > SOCKET_PATH_MAX) {
      const message = `${this.path} is too long for the sockets of drivers`;
      throw new ByrefError(
        'usage',
        message,
        'Set BYREF_RUN to a shorter path, such as /run/byref.',
      );
    }
    return { socket: `${stem}.sock`, lock: `${stem}.lock`, log: `${stem}.log` };
  }
}

/** Returns what another user could do with a directory; null if nothing. */
function whyNotOurs(found: Stats): string | null {
  if (!found.isDirectory()) return found.isSymbolicLink() ? 'is a symlink' : 'is no directory';
  if (found.uid !== 0 && found.uid !== process.geteuid?.()) return `belongs to user ${found.uid}`;
  return (found.mode & S_IWOTHERS) === 0 ? null : 'can be written to by other users';
}

/** The files of one process. */
export interface ProcessFiles {
  /** Control socket; see protocol.ts. */
  readonly socket: string;
  /** Locked by flock(2) as long as the process lives; holds its pid as text. */
  readonly lock: string;
  readonly log: string;
}
