import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import type { BackingKind } from './backing.ts';
import type { Target } from './workloads/workload.ts';

/** One peer in one row, in nanoseconds per operation; or why there is none. */
export type Cell =
  | {
      readonly medianNs: number;
      readonly minNs: number;
      readonly maxNs: number;
      readonly samplesNs: readonly number[];
      /** Samples during which other programs dropped the kernel's caches. */
      readonly disturbed: number;
    }
  | { readonly error: string };

export interface Row {
  readonly name: string;
  readonly title: string;
  readonly target?: Target;
  readonly cells: Readonly<Record<string, Cell>>;
}

/** What only byref has: a table with columns of its own. */
export interface StudyTable {
  readonly name: string;
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The same figures as numbers, in bytes, nanoseconds or as named. */
  readonly figures: Readonly<Record<string, number>>;
}

export interface BackingResults {
  readonly backing: BackingKind;
  readonly fileSystem: string;
  readonly peers: readonly string[];
  readonly rows: Row[];
  readonly studies: StudyTable[];
}

export interface Machine {
  readonly date: string;
  readonly kernel: string;
  readonly node: string;
  readonly cpus: string;
  readonly memoryGiB: number;
  readonly commit: string;
}

/** The form of results/*.json; grows, but what is there keeps its meaning. */
export interface Results {
  readonly format: 1;
  readonly machine: Machine;
  readonly backings: BackingResults[];
}

export function describeMachine(): Machine {
  return {
    date: new Date().toISOString(),
    kernel: release(),
    node: process.version,
    cpus: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    commit: commit(),
  };
}

function commit(): string {
  try {
    const options = { cwd: import.meta.dirname, encoding: 'utf8' } as const;
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], options).trim();
  } catch {
    return 'unknown';
  }
}
