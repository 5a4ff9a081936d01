import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { procLink, procText } from '../../../base/proc.ts';
import { isNamedByArguments, programName } from './program-name.ts';

/** The most processes that are remembered at once. */
const KNOWN_MAX = 4096;
/** Bytes read of a command line: enough for an interpreter's options and its script. */
const ARGUMENT_BYTES = 4096;
/** How long a program may wait for its own name to be found, in ms. */
const PATIENCE_MS = 200;

interface Known {
  /** Identifies the process, and which of the programs that it executed one after the other. */
  readonly image: string;
  readonly program: string;
}

/**
 * Finds the programs of processes, by pid or thread id, from links and texts in /proc. It opens no path that may
 * be on one of our own mounts.
 */
export class Callers {
  private readonly known = new Map<number, Known>();

  /**
   * Returns the name of a process's program, '' if not known; or a promise that never rejects, after which to ask
   * again. The process must be waiting for us, so that it stays what it is meanwhile.
   */
  programOf(pid: number): string | Promise<void> {
    const image = imageOf(pid);
    if (image === '') return '';
    const known = this.known.get(pid);
    if (known?.image === image) return known.program;
    const exe = procLink(`/proc/${pid}/exe`);
    if (!isNamedByArguments(exe)) return this.keep(pid, image, programName({ exe, args: [] }));
    return argumentsOf(pid).then((args) => {
      this.keep(pid, image, programName({ exe, args }));
    });
  }

  private keep(pid: number, image: string, program: string): string {
    if (this.known.size >= KNOWN_MAX) this.known.clear();
    this.known.set(pid, { image, program });
    return program;
  }
}

/** Fields of /proc/PID/stat, counted from the first one after the name: see proc_pid_stat(5). */
const START_TIME = 19;
const START_CODE = 23;
const START_STACK = 25;
const ARG_START = 45;

/**
 * Returns a string that stays the same as long as a process runs one program; '' if the process is gone, or not in
 * our namespace.
 */
function imageOf(pid: number): string {
  // The kernel gives pid 0 for a caller that has no number here, and for pages that it writes by itself.
  if (pid === 0) return '';
  const stat = procText(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields.length <= ARG_START) return '';
  return [START_TIME, START_CODE, START_STACK, ARG_START].map((at) => fields[at]).join(' ');
}

/** The last of the reads of arguments, which run one after the other. */
let reading: Promise<unknown> = Promise.resolve();

/**
 * Returns the first arguments of a process; none if they can't be read in time.
 *
 * For this the kernel takes the lock of the process's memory, and reads memory that may be mapped from one of our
 * own mounts: a read can wait for a request to us. So it is done on the thread pool, and never on more than one of
 * its threads, because that request may need one too.
 */
async function argumentsOf(pid: number): Promise<string[]> {
  const text = reading.then(() => commandLine(pid));
  reading = text;
  const late = new AbortController();
  const giveUp = sleep(PATIENCE_MS, '', { signal: late.signal }).catch(() => '');
  const first = await Promise.race([text, giveUp]);
  late.abort();
  return first.split('\0');
}

async function commandLine(pid: number): Promise<string> {
  let file: FileHandle | null = null;
  try {
    file = await open(`/proc/${pid}/cmdline`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ARGUMENT_BYTES));
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  } finally {
    await file?.close();
  }
}
