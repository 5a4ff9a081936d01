/** Waits for another process: for how long, and whom to tell who is waited for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { procText } from '../base/proc.ts';

/** How long to wait for another process, and what to do meanwhile. */
export interface Patience {
  /** Milliseconds. 0 tries once, Infinity waits as long as it takes. */
  readonly ms: number;
  /** Is told who is waited for: "process 12 (byref template import debian-12 root.tar), which ...". */
  readonly tell: (whom: string) => void;
  /** Ends the wait when it is aborted. */
  readonly signal?: AbortSignal;
}

/** A wait of three seconds that tells nobody: for callers without a user to inform. */
export const BRIEF: Patience = { ms: 3000, tell: () => undefined };

/**
 * Returns a patience without end or interruption: finished work is not given up because others write for long,
 * or because of Ctrl-C.
 */
export const forever = ({ tell }: Patience): Patience => ({ ms: Infinity, tell });

/** How often waitUntil() tries again. */
const POLL_MS = 50;
/** A wait is reported after this long. Most locks are held for milliseconds only. */
const TELL_AFTER_MS = 1000;
/** How often a wait is reported again. */
const TELL_EVERY_MS = 20_000;

/**
 * Tries `works` until it succeeds or the patience ends; returns true if it succeeded.
 * @param holder describes who is in the way now, for `tell`
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

/**
 * Describes a process, as in "process 12 (byref create web1 --os debian-12)"; leaves out a command that can't
 * be read.
 */
export function describeProcess(pid: number | null): string {
  if (pid === null) return 'another process';
  const command = commandLine(pid);
  return command === '' ? `process ${pid}` : `process ${pid} (${command})`;
}

/** Longer command lines are cut to this many characters. */
const COMMAND_MAX = 100;

/** Returns the command as it was typed: without the interpreter and the bundle of byref itself. */
function commandLine(pid: number): string {
  const [program = '', ...words] = procText(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
  const isByref = /\/(?:byref(?:\.cjs)?|main\.cjs)$/.test(words[0] ?? '');
  const line = isByref ? ['byref', ...words.slice(1)] : [program, ...words];
  const text = line.join(' ');
  return text.length > COMMAND_MAX ? `${text.slice(0, COMMAND_MAX)}...` : text;
}
