import type { Backing } from '../backing.ts';
import type { Fixture } from '../fixture.ts';
import type { Sources } from '../sources.ts';

/** One row of the table: the same work, done on every peer. */
export interface Workload {
  /** As in --only and in the results. */
  readonly name: string;
  readonly title: string;
  /** What byref is meant to reach, from the issue that set the targets. */
  readonly target?: Target;
  /** Instead, where the backing file system has reflinks. */
  readonly reflinkTarget?: Target;
  /** How many rounds count; --rounds and --quick override it. */
  readonly rounds: number;
  /** Its sample uses template files up: each round has an env of its own. */
  readonly fresh?: boolean;
  /** Also runs on the backing that is only there for copy-up. */
  readonly copyUp?: boolean;
  /** Once per env, before the first round. */
  readonly prepare?: (at: Place) => Promise<void>;
  /** One measurement. Resolves to nanoseconds per operation. */
  readonly sample: (at: Place) => Promise<number>;
  /** How the floor server does this; unset: it has no equal. */
  readonly floor?: (at: Place) => Promise<number>;
}

export interface Target {
  /** At most so many times the plain file system's time. */
  readonly plain?: number;
  /** At most so many times the floor's. */
  readonly floor?: number;
  readonly ms?: number;
}

/** Where a sample is taken. */
export interface Place {
  readonly backing: Backing;
  readonly root: string;
  readonly copiesOnWrite: boolean;
  readonly fixture: Fixture;
  readonly sources: Sources;
  /** 0 for the round that is discarded. */
  readonly round: number;
  /** A count of operations, smaller in a quick run. */
  readonly scale: (count: number) => number;
  /** Runs a measuring loop in `root`; nanoseconds per operation. */
  readonly work: (...args: (string | number)[]) => Promise<number>;
  /** Runs a program in `root` without measuring. */
  readonly run: (file: string, ...args: string[]) => Promise<string>;
}
