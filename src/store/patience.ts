/** Waiting for another process: how long, who is told for whom, and how it is done. */
import { setTimeout as sleep } from 'node:timers/promises';
import { procText } from '../base/proc.ts';

export interface Patience {
  /** Milliseconds; 0: try once. Infinity: as long as it takes. */
  readonly ms: number;
  /** Hears for whom it waits: "process 12 (byref template import debian-12 root.tar), which ...". */
  readonly tell: (whom: string) => void;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** Of what has no user to be told. */
export const BRIEF: Patience = { ms: 3000, tell: () => undefined };

/** Work that is done is not given up because others write for long, nor because it is interrupted. */
export const forever = ({ tell }: Patience): Patience => ({ ms: Infinity, tell });

const POLL_MS = 50;
/** Most locks are held for milliseconds: nobody has to know. */
const TELL_AFTER_MS = 1000;
/** So often it is said again. */
const TELL_EVERY_MS = 20_000;

/**
 * Tries until it works or patience ends; true if it worked.
 * @param holder who has it now, for `tell`
 */
export async function waitUntil(
  works: () => boolean,
  holder: () => string,
  { ms, tell, signal }: Patience,
): Promise<boolean> {
  const began = performance.now();
  let tellAt = TELL_AFTER_MS;
  for (;;) {
    if (works()) return true;
    const waited = performance.now() - began;
    if (waited >= ms || signal?.aborted === true) return false;
    if (waited >= tellAt) {
      tell(holder());
      tellAt = waited + TELL_EVERY_MS;
    }
    await sleep(Math.min(POLL_MS, ms - waited));
  }
}

/** "process 12 (byref create web1 --os debian-12)"; without the command where it can't be seen. */
export function describeProcess(pid: number | null): string {
  if (pid === null) return 'another process';
  const command = commandLine(pid);
  return command === '' ? `process ${pid}` : `process ${pid} (${command})`;
}

const COMMAND_MAX = 100;

/** As it was typed: byref's own interpreter and bundle are left out. */
function commandLine(pid: number): string {
  const [program = '', ...words] = procText(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
  const isByref = /\/(?:byref|main\.cjs)$/.test(words[0] ?? '');
  const line = isByref ? ['byref', ...words.slice(1)] : [program, ...words];
  const text = line.join(' ');
  return text.length > COMMAND_MAX ? `${text.slice(0, COMMAND_MAX)}...` : text;
}
