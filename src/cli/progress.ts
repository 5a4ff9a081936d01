import { formatSize } from '../base/size.ts';
import { visibleContent, visibleJson } from '../base/visible.ts';
import { output } from './output.ts';

/** How far a long command has come. */
export interface ProgressState {
  readonly phase: string;
  readonly files: number;
  readonly bytes: number;
  /** The totals, where they are known from the beginning. */
  readonly totalFiles?: number;
  readonly totalBytes?: number;
  /** Without totals: how much of the phase is done, 0 .. 1. */
  readonly part?: number;
  /** What it is working on now. */
  readonly detail?: string;
}

/** How progress is shown where there is no terminal. */
export interface ProgressOptions {
  /** Without a terminal: a JSON value per line. */
  readonly json: boolean;
  /** Without a terminal or JSON: a line now and then; true if it is not given. */
  readonly lines?: boolean;
}

type Form = 'terminal' | 'json' | 'lines' | 'none';

/** How often the display is updated, in milliseconds; a new phase is shown at once, but for lines. */
const REDRAW_MS: Readonly<Record<Form, number>> = {
  terminal: 100,
  json: 1_000,
  lines: 5_000,
  none: Number.POSITIVE_INFINITY,
};
/** In JSON, progress of this much of a phase is reported at once. */
const STEP = 0.05;
const BAR_WIDTH = 24;
const DETAIL_WIDTH = 30;
const CLEAR_LINE = '\r\x1b[K';

/** Prints a permanent line on stderr, above the progress if any is shown. */
export function sayAbove(text: string): void {
  output().stderr.write(`${output().stderr.isTTY ? CLEAR_LINE : ''}${visibleContent(text)}\n`);
}

/** Shows progress on stderr: on a terminal a line that is redrawn; else a line now and then, as JSON if wanted. */
export class Progress {
  private readonly form: Form;
  private shownAt: number;
  private shownPart = 0;
  private phase = '';
  private part = 0;

  constructor({ json, lines = true }: ProgressOptions) {
    this.form = output().stderr.isTTY ? 'terminal' : json ? 'json' : lines ? 'lines' : 'none';
    // A command that is done at once leaves no line in a log.
    this.shownAt = this.form === 'lines' ? Date.now() : 0;
  }

  readonly update = (state: ProgressState): void => {
    if (this.form === 'none') return;
    const began = state.phase !== this.phase;
    if (began) this.part = 0;
    // An estimate may say less than before; the bar never goes back.
    const known = partOf(state);
    const part = known === null ? null : Math.min(1, Math.max(this.part, known));
    this.part = part ?? 0;
    const now = Date.now();
    const due = now - this.shownAt >= REDRAW_MS[this.form];
    const stepped = this.form === 'json' && this.part - this.shownPart >= STEP;
    if (!due && !stepped && (!began || this.form === 'lines')) return;
    this.phase = state.phase;
    this.shownAt = now;
    this.shownPart = this.part;
    this.show(state, part);
  };

  /** Prints a permanent line above the progress. */
  readonly note = sayAbove;

  /** Clears the line of progress. */
  end(): void {
    if (this.form === 'terminal') output().stderr.write(CLEAR_LINE);
  }

  private show(state: ProgressState, part: number | null): void {
    if (this.form === 'json') {
      const { phase, files, bytes, detail = null } = state;
      const rounded = part === null ? null : Number(part.toFixed(3));
      const progress = { phase, part: rounded, files, bytes, detail };
      output().stderr.write(`${visibleJson(JSON.stringify({ progress }))}\n`);
      return;
    }
    const text = visibleContent(describe(state, part));
    output().stderr.write(this.form === 'terminal' ? CLEAR_LINE + text : `${text}\n`);
  }
}

function partOf({ bytes, totalBytes, part }: ProgressState): number | null {
  if (part !== undefined) return part;
  return totalBytes === undefined || totalBytes === 0 ? null : bytes / totalBytes;
}

function describe(state: ProgressState, part: number | null): string {
  const { phase, files, bytes, totalFiles, totalBytes, detail = '' } = state;
  const all = totalFiles === undefined ? '' : `/${totalFiles}`;
  const size = totalBytes === undefined ? '' : ` of ${formatSize(totalBytes)}`;
  const told = [
    files === 0 ? '' : `${files}${all} files`,
    files === 0 && bytes === 0 ? '' : `${formatSize(bytes)}${size}`,
    detail.slice(0, DETAIL_WIDTH),
  ];
  const about = told.filter((each) => each !== '').join(', ');
  if (part === null) return about === '' ? phase : `${phase}: ${about}`;
  const bar = '#'.repeat(Math.round(part * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  return `${phase}: [${bar}] ${Math.floor(part * 100)}% ${about}`.trimEnd();
}
