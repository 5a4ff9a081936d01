import type { Backing } from '../backing.ts';
import type { Cleanup } from '../cleanup.ts';
import type { StudyTable } from '../results.ts';
import type { Worker } from '../worker.ts';

/** A measurement of something that is not an operation on a file. */
export interface Study {
  /** As in --only and in the results. */
  readonly name: string;
  readonly run: (stage: StudyStage) => Promise<StudyTable>;
}

export interface StudyStage {
  readonly backing: Backing;
  readonly worker: Worker;
  readonly cleanup: Cleanup;
  /** Smaller numbers of everything. */
  readonly quick: boolean;
}
