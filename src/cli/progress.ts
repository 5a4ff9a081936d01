import { formatSize } from '../base/size.ts';
import { visibleContent } from '../base/visible.ts';

/** How far a long command is. Totals where they are known. */
export interface ProgressState {
  readonly phase: string;
  readonly files: number;
  readonly bytes: number;
  readonly totalFiles?: number;
  readonly totalBytes?: number;
}

const REDRAW_MS = 100;
const LINE_MS = 5_000;
const BAR_WIDTH = 24;
const CLEAR_LINE = '\r\x1b[K';

/** A line on stderr that stays, above the progress if any is shown. */
export function sayAbove(text: string): void {
  process.stderr.write(`${process.stderr.isTTY ? CLEAR_LINE : ''}${visibleContent(text)}\n`);
}

/** Shows progress on stderr: a line that is redrawn on a terminal, else a line now and then. */
export class Progress {
  private readonly terminal = process.stderr.isTTY;
  private shownAt = 0;
  private phase = '';

  readonly update = (state: ProgressState): void => {
    const now = Date.now();
    const due = now - this.shownAt >= (this.terminal ? REDRAW_MS : LINE_MS);
    if (!due && state.phase === this.phase) return;
    this.phase = state.phase;
    this.shownAt = now;
    const text = visibleContent(describe(state));
    process.stderr.write(this.terminal ? CLEAR_LINE + text : `${text}\n`);
  };

  /** A line that stays, above the progress. */
  readonly note = sayAbove;

  end(): void {
    if (this.terminal) process.stderr.write(CLEAR_LINE);
  }
}

function describe({ phase, files, bytes, totalFiles, totalBytes }: ProgressState): string {
  if (files === 0 && bytes === 0) return phase;
  const done = `${files}${totalFiles === undefined ? '' : `/${totalFiles}`} files, ${formatSize(bytes)}`;
  if (totalBytes === undefined || totalBytes === 0) return `${phase}: ${done}`;
  const part = Math.min(1, bytes / totalBytes);
  const filled = Math.round(part * BAR_WIDTH);
  const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
  return `${phase}: [${bar}] ${Math.floor(part * 100)}% ${done} of ${formatSize(totalBytes)}`;
}
