import type { KeyedFormat, KeyedRecord, Reconcile } from './format.ts';

/** Returns the lines; the last one may lack its newline. */
export function splitLines(content: string): string[] {
  const lines = content.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** Returns the content; each line ends with a newline. */
export function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** The properties of a format that lineFormat() makes. */
export interface LineFormat {
  readonly name: string;
  /** Returns a line's key; null if the line is its own key, and so is never in conflict. */
  readonly keyOf?: (line: string) => string | null;
  /** What a key names, for people: "user". */
  readonly noun?: string;
  readonly reconcile?: Reconcile;
}

/** Makes the format of a file in which each line has a key; comments are lines, too. */
export function lineFormat(options: LineFormat): KeyedFormat {
  const { name, keyOf = () => null, noun = 'line', reconcile } = options;
  // Prefixes tell lines that are their own key from keys of other lines.
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

/** The format of /etc/shells and the like, where a line is present or not. */
export const LINE_SET = lineFormat({ name: 'lines' });
