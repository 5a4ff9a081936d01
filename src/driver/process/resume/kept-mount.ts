import type { StackRef } from '../../../store/store.ts';
import type { LeftRecords } from '../../core/resume/records.ts';
import { KeptLines } from '../writers/kept-lines.ts';
import { KeptRecords } from './kept-records.ts';
import { MountFiles, type MountNote } from './mount-note.ts';

/** The note and the records of one mount, which outlive this process if it is killed. */
export class KeptMount {
  readonly records: KeptRecords;
  readonly #files: MountFiles;
  #note: MountNote | null;

  /** Begins those of a new mount. @throws ByrefError 'noSpace' */
  static create(root: string, env: number): KeptMount {
    const files = new MountFiles(root, env);
    files.create();
    files.remove();
    return new KeptMount(files, null);
  }

  /** Goes on with those that another driver left; null if it left none, or of another version. */
  static find(
    root: string,
    env: number,
  ): { readonly kept: KeptMount; readonly note: MountNote } | null {
    const files = new MountFiles(root, env);
    const note = files.read();
    return note === null ? null : { kept: new KeptMount(files, note), note };
  }

  private constructor(files: MountFiles, note: MountNote | null) {
    this.#files = files;
    this.#note = note;
    this.records = new KeptRecords(files.records, note !== null);
  }

  /** Returns the lines for notes of writers, with those that the other driver left. */
  writers(): KeptLines {
    return new KeptLines(this.#files.writers, this.#note !== null);
  }

  /** Returns what the other driver left. */
  left(): LeftRecords {
    return this.records.left();
  }

  /** True if another driver could go on with the mount. */
  get canBeLeft(): boolean {
    return this.#note?.granted.resend === true;
  }

  /** Notes the mount, before anyone is told of it. @throws ByrefError 'noSpace' */
  note(note: Omit<MountNote, 'version'>): void {
    this.#note = this.#files.write(note);
  }

  /** Notes that the env shows another stack from now on. @throws ByrefError 'noSpace' */
  shows(stack: readonly StackRef[]): void {
    if (this.#note === null) return;
    const text = JSON.stringify(stack);
    const others = this.#note.stacks.filter((each) => JSON.stringify(each) !== text);
    this.note({ ...this.#note, stacks: [stack, ...others] });
  }

  /** Takes everything back: the mount is gone. */
  end(): void {
    this.#files.remove();
  }
}
