import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { nameFromText } from '../base/ids.ts';
import { nameCookie } from '../base/name-hash.ts';
import { runPlace } from '../base/run-place.ts';

/** The longest path of a unix socket, in bytes (unix(7): 108 with the NUL). */
const SOCKET_PATH_MAX = 107;
const SOCKET_ENDING = '.sock'.length;

/**
 * The directory where the live processes of one root meet: sockets, locks and logs. Each root has one below
 * /run/byref (or BYREF_RUN). Nothing in it survives a reboot, or has to.
 */
export class RunDir {
  readonly path: string;

  /** @param root absolute path of the root */
  constructor(root: string) {
    this.path = path.join(runPlace(), nameCookie(nameFromText(root)).toString(16));
  }

  /**
   * Makes the directory; only root may look inside.
   * @throws ByrefError 'unsupported' where it can't be made
   */
  create(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    } catch (error) {
      const message = `the directory for sockets can't be made: ${(error as Error).message}`;
      const hint = 'Set BYREF_RUN to a directory that can be written to.';
      throw new ByrefError('unsupported', message, hint, { cause: error });
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

  private files(name: string): ProcessFiles {
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

/** The files of one process. */
export interface ProcessFiles {
  /** Control socket; see protocol.ts. */
  readonly socket: string;
  /** Locked by flock(2) as long as the process lives; holds its pid as text. */
  readonly lock: string;
  readonly log: string;
}
