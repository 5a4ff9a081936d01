/** What a daemon shows of the commands that it executes as operations. */
import type { ExitName } from '../base/exit-codes.ts';

/** running; done; failed: with an error; cancelled: somebody asked it to end; lost: nobody saw how its process ended. */
export type OperationState = 'running' | 'done' | 'failed' | 'cancelled' | 'lost';

/** An operation. Times are ISO 8601, UTC. */
export interface Operation {
  /** Unique until the machine boots. */
  readonly id: number;
  /** The command, from its verb on. */
  readonly words: readonly string[];
  readonly state: OperationState;
  /** null if it does not run. */
  readonly pid: number | null;
  readonly started: string;
  readonly ended: string | null;
  readonly exitCode: number | null;
  /** How far it is: docs/reference/json.md, "Progress". */
  readonly progress: unknown;
  /** The value that its verb printed with --json; null if it has not ended, or printed no such value. */
  readonly result: unknown;
  readonly error: OperationError | null;
}

/** The error that a command ended with. */
export interface OperationError {
  readonly code: ExitName;
  readonly exitCode: number;
  readonly message: string;
  readonly hint: string;
}
