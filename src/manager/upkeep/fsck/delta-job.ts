/** One env under check: its place, its delta, and its templates. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Ino, Name } from '../../../base/ids.ts';
import { PRIVATE_DIR, privateIno, privateName } from '../../../driver/delta/layout.ts';
import type { DeltaView } from '../../../driver/delta/read-delta.ts';
import { snapshotIn } from '../../../store/names.ts';
import type { EnvRow } from '../../../store/store.ts';
import { restoreEnv } from './delta-finding.ts';
import { DeltaPaths } from './delta-paths.ts';
import { DeltaScan } from './delta-scan.ts';
import { EnvLowerTree } from './env-lower-tree.ts';
import type { Job } from './job.ts';

/** An env that has a directory. */
export interface CheckedEnv {
  readonly id: number;
  /** null if it can't be read. */
  readonly row: EnvRow | null;
  readonly directory: string;
  /** True if a driver may be writing to it, or if that is unknown. */
  readonly served: boolean;
}

/** Describes an env by its name, or by its number if the row can't be read; a snapshot by the env that it is of. */
export function envName({ id, row }: Pick<CheckedEnv, 'id' | 'row'>): string {
  if (row === null) return `env number ${id}`;
  const snapshot = snapshotIn(row.name);
  return snapshot === null
    ? `env ${row.name}`
    : `snapshot ${snapshot.name} of env number ${snapshot.env}`;
}

/** One env with its delta read, for the checks of it. */
export class DeltaJob {
  readonly job: Job;
  readonly directory: string;
  readonly served: boolean;
  readonly lower: EnvLowerTree;
  readonly scan: DeltaScan;
  readonly nextIno: number;
  /** The entries of private/ by ino, and whether each is a regular file. Listed after the delta was read. */
  readonly privateFiles: ReadonlyMap<Ino, boolean>;
  private readonly name: string;
  private readonly paths: DeltaPaths;

  constructor(job: Job, env: CheckedEnv, view: DeltaView) {
    this.job = job;
    this.directory = env.directory;
    this.served = env.served;
    this.name = envName(env);
    this.lower = new EnvLowerTree(job, env.row);
    this.scan = new DeltaScan(job, view, this.lower);
    this.nextIno = view.nextIno;
    this.paths = new DeltaPaths(this.scan, job.paths);
    this.privateFiles = listPrivate(env.directory);
  }

  /** Returns a place for a finding: "env web1: /etc/passwd". */
  where(place: string): string {
    return place === '' ? this.name : `${this.name}: ${place}`;
  }

  place(dir: Ino, name: Name): string {
    return this.where(this.paths.place(dir, name));
  }

  /** Returns the path of an inode under its first name, as far as it is known. */
  pathOf(ino: Ino): string {
    return this.paths.of(ino) || '/';
  }

  privatePath(ino: Ino): string {
    return path.join(this.directory, PRIVATE_DIR, privateName(ino));
  }

  /** Returns the remedy for what byref can't repair. */
  get restore(): string {
    return restoreEnv(this.directory);
  }
}

function listPrivate(directory: string): Map<Ino, boolean> {
  const files = new Map<Ino, boolean>();
  try {
    const entries = readdirSync(path.join(directory, PRIVATE_DIR), { withFileTypes: true });
    for (const entry of entries) {
      const ino = privateIno(entry.name);
      if (ino >= 0) files.set(ino as Ino, entry.isFile());
    }
  } catch (error) {
    // An env without files of its own has no such directory.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return files;
}
