/** What a driver notes of a mount when it is made, so that another driver can go on with it. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { isNoSpace } from '../../../base/no-space.ts';
import type { MountedEnv, MountRequest } from '../../../ipc/protocol.ts';
import { RECORDS_VERSION } from '../../../ipc/records-version.ts';
import { RunDir } from '../../../ipc/run-dir.ts';
import type { StackRef } from '../../../store/store.ts';
import type { Granted } from '../../fuse/init.ts';
import type { RecordFiles } from './kept-records.ts';

/** A mount that can be gone on with. */
export interface MountNote {
  readonly version: number;
  readonly request: MountRequest;
  readonly granted: Granted;
  readonly info: MountedEnv;
  /** The stacks that the env has shown since it was mounted, the latest first: files of all of them may be in use. */
  readonly stacks: readonly (readonly StackRef[])[];
}

/** The most stacks that a note names. Files of older ones that are in use can't be gone on with. */
const STACKS_MAX = 16;

/** The files in which the driver of a mounted env keeps what the next one needs. */
export class MountFiles {
  readonly #dir: string;
  readonly #stem: string;
  readonly #note: string;

  constructor(root: string, env: number) {
    const run = new RunDir(root);
    this.#dir = run.served;
    this.#note = run.noteOf(env);
    this.#stem = path.join(this.#dir, String(env));
  }

  get records(): RecordFiles {
    const stem = this.#stem;
    return { files: `${stem}.files`, inodes: `${stem}.inodes`, requests: `${stem}.requests` };
  }

  create(): void {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** Returns the note; null if there is none that this version can read. */
  read(): MountNote | null {
    try {
      const note = JSON.parse(readFileSync(this.#note, 'utf8')) as MountNote;
      return note.version === RECORDS_VERSION ? note : null;
    } catch {
      return null;
    }
  }

  /** Writes a note, and returns it. @throws ByrefError 'noSpace' */
  write(given: Omit<MountNote, 'version'>): MountNote {
    const note = { ...given, stacks: given.stacks.slice(0, STACKS_MAX), version: RECORDS_VERSION };
    try {
      writeFileSync(`${this.#note}.new`, JSON.stringify(note), { mode: 0o600 });
      renameSync(`${this.#note}.new`, this.#note);
      return note;
    } catch (cause) {
      if (!isNoSpace(cause)) throw cause;
      const message = `there is no room for ${this.#note}`;
      const hint = 'Make room on the file system of the run directory.';
      throw new ByrefError('noSpace', message, hint, { cause });
    }
  }

  /** The file of what a traced mount has noted of writers. */
  get writers(): string {
    return `${this.#stem}.writers`;
  }

  remove(): void {
    const { files, inodes, requests } = this.records;
    for (const file of [this.#note, files, inodes, requests, this.writers])
      rmSync(file, { force: true });
  }
}
