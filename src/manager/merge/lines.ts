import type { KeyedFormat, KeyedRecord, Reconcile } from './format.ts';

/** A last line without a newline is a line. */
export function splitLines(content: string): string[] {
  const lines = content.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

export function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

export interface LineFormat {
  readonly name: string;
  /** A line's key; null: the line is its own key, and so is never in conflict. */
  readonly keyOf?: (line: string) => string | null;
  /** What a key names: "user". */
  readonly noun?: string;
  readonly reconcile?: Reconcile;
}

/** A file of lines, each with a key of its own; comments are lines. */
export function lineFormat(options: LineFormat): KeyedFormat {
  const { name, keyOf = () => null, noun = 'line', reconcile } = options;
  // A line that is its own key must not be taken for what a key names: the two have a prefix each.
  const record = (line: string): KeyedRecord => {
    const key = keyOf(line);
    return { key: key === null ? `=${line}` : `:${key}`, text: line };
  };
  return {
    name,
    parse: (content) => splitLines(content).map(record),
    render: (records) => joinLines(records.map(({ text }) => text)),
    label: (key) => `${key.startsWith(':') ? noun : 'line'} ${key.slice(1)}`,
    ...(reconcile && { reconcile: (key, sides) => reconcile(key.slice(1), sides) }),
  };
}

/** /etc/shells and its like: lines are there or not. */
export const LINE_SET = lineFormat({ name: 'lines' });
