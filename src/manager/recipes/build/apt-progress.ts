/** Derives progress from what apt and mmdebstrap print. */
import { statSync } from 'node:fs';
import type { OnProgress, Phase } from '../../templates/tree.ts';

/** Lines as in apt's README.progress-reporting: "pmstatus:PACKAGE:PERCENT:TEXT", "dlstatus:INDEX:PERCENT:TEXT". */
const STATUS = /^(pmstatus|dlstatus):([^:]*):([0-9.]+):/;
const WHOLE = 100;

/** Returns a listener for lines of APT::Status-Fd. @param download the phase that fetching belongs to */
export function aptStatus(progress: OnProgress, download: Phase): (line: string) => void {
  return (line) => {
    const [, kind, about = '', percent] = STATUS.exec(line) ?? [];
    if (kind === undefined) return;
    const part = Number(percent) / WHOLE;
    const installs = kind === 'pmstatus';
    report(progress, installs ? 'install' : download, part, installs ? about : '');
  };
}

const report = (progress: OnProgress, phase: Phase, part: number, detail = ''): void =>
  progress({ phase, part, files: 0, bytes: 0, ...(detail === '' ? {} : { detail }) });

const LOOK_MS = 500;

/** Reports how large a file has become, as the phase "pack", until `work` is done. */
export async function tellSize<T>(
  file: string,
  progress: OnProgress,
  work: () => Promise<T>,
): Promise<T> {
  const look = setInterval(() => {
    const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > 0) progress({ phase: 'pack', files: 0, bytes });
  }, LOOK_MS);
  try {
    return await work();
  } finally {
    clearInterval(look);
  }
}

/** Lines that mmdebstrap prints when a phase begins. */
const BEGINNINGS: readonly (readonly [RegExp, Phase])[] = [
  [/^I: running apt-get update/, 'indices'],
  [/^I: downloading packages with apt/, 'download'],
  [/^I: extracting archives/, 'unpack'],
  [/^I: installing essential packages/, 'install essential'],
  [/^I: installing remaining packages/, 'install'],
  [/^I: creating tarball/, 'pack'],
];
const TOTAL = /^\d+ upgraded, (\d+) newly installed/;
/** Each package is fetched, unpacked and set up, though not all in one phase. */
const STEP = /^(Get:\d+|Unpacking|Setting up) (\S+)/;
const STEPS: Partial<Record<Phase, number>> = { download: 1, 'install essential': 2, install: 3 };

/** Returns a listener for what mmdebstrap prints with --verbose. */
export function mmdebstrapLines(progress: OnProgress): (line: string) => void {
  let phase: Phase | null = null;
  let packages = 0;
  let done = 0;
  return (line) => {
    const begun = BEGINNINGS.find(([pattern]) => pattern.test(line))?.[1];
    if (begun !== undefined) {
      phase = begun;
      done = 0;
      if (STEPS[phase] === undefined) progress({ phase, files: 0, bytes: 0 });
      else report(progress, phase, 0);
    }
    const [, total] = TOTAL.exec(line) ?? [];
    if (total !== undefined) packages = Number(total);
    const [, step = '', name = ''] = STEP.exec(line) ?? [];
    const steps = phase === null ? undefined : STEPS[phase];
    if (phase === null || steps === undefined || step === '' || packages === 0) return;
    done++;
    report(progress, phase, Math.min(1, done / (steps * packages)), /^Get/.test(step) ? '' : name);
  };
}
