import type { Command } from 'commander';
import { ByrefError } from '../base/error.ts';
import { visible, visibleJson } from '../base/visible.ts';
import type { Results } from '../services/results.ts';
import { output } from './output.ts';
import { printLines, printNulEnded, printOwn } from './print.ts';

/** One column of a table: its name for -o and in JSON, and its text for people. */
export interface Column<Row> {
  readonly field: string;
  /** Shown without -o. */
  readonly standard: boolean;
  readonly right?: boolean;
  /**
   * On a terminal, text that does not fit beside the other columns continues on the next line; only for a last
   * column of prose.
   */
  readonly wraps?: boolean;
  text(row: Row): string;
}

/** The options of commands that print tables. */
export interface TableOptions {
  /** -H */
  readonly header?: boolean;
  /** -o FIELDS */
  readonly output?: string;
  /** -q */
  readonly quiet?: boolean;
  /** -z */
  readonly null?: boolean;
}

/** Adds -H, -o, -q and -z to a command. @param fields the names that -o takes */
export function tableOptions(command: Command, fields: readonly string[]): Command {
  return command
    .option('-H, --no-header', 'no header line')
    .option('-o, --output <fields>', `columns, separated by commas: ${fields.join(', ')}`)
    .option('-q, --quiet', 'the first column only, without a header')
    .option('-z, --null', 'fields whole, as they are, with a NUL behind each; no header');
}

/**
 * Prints rows as a table. On a terminal, columns are aligned with blanks. In a pipe, fields are separated by
 * one tab, and never trimmed or wrapped. An empty field is printed as `-`, so that columns can be counted.
 * Whatever would act on a terminal, or look like another field or line, is escaped.
 */
export function printTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: TableOptions,
): void {
  const chosen = choose(columns, options);
  const cells = rows.map((row) => chosen.map((column) => column.text(row) || '-'));
  if (options.null === true) {
    printNulEnded(...cells.flat());
    return;
  }
  const lines = cells.map((line) => line.map(visible));
  if (options.header !== false && !options.quiet) {
    lines.unshift(chosen.map((column) => column.field.toUpperCase()));
  }
  if (lines.length === 0) return;
  const text = output().stdout.isTTY ? align(lines, chosen) : lines.map((line) => line.join('\t'));
  printOwn(`${text.join('\n')}\n`);
}

function choose<Row>(columns: readonly Column<Row>[], options: TableOptions): Column<Row>[] {
  const { output: fields } = options;
  const chosen =
    fields === undefined
      ? columns.filter((column) => column.standard)
      : fields.split(',').map((field) => byField(columns, field.trim()));
  return options.quiet ? chosen.slice(0, 1) : chosen;
}

function byField<Row>(columns: readonly Column<Row>[], field: string): Column<Row> {
  const column = columns.find((candidate) => candidate.field === field);
  if (column) return column;
  const known = columns.map((candidate) => candidate.field).join(', ');
  throw new ByrefError('usage', `no such column: ${field}`, `Columns are: ${known}.`);
}

function align<Row>(lines: readonly string[][], columns: readonly Column<Row>[]): string[] {
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const last = columns.length - 1;
  const indent = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0);
  const room = Math.max((output().stdout.columns || STANDARD_WIDTH) - indent, WRAPPED_LEAST);
  return lines.flatMap((line) => {
    const [first = '', ...more] = columns[last]!.wraps ? wrap(line[last]!, room) : [line[last]!];
    const cells = [...line.slice(0, last), first].map((cell, i) =>
      columns[i]!.right ? cell.padStart(widths[i]!) : cell.padEnd(i < last ? widths[i]! : 0),
    );
    return [cells.join(GAP).trimEnd(), ...more.map((rest) => ' '.repeat(indent) + rest)];
  });
}

const GAP = '  ';
const STANDARD_WIDTH = 80;
/** A text is not wrapped to fewer characters than this; then the terminal wraps it. */
const WRAPPED_LEAST = 24;

/** Wraps at blanks; cuts words that are too long. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (let rest = text; ; ) {
    if (rest.length <= width) return [...lines, rest];
    const blank = rest.lastIndexOf(' ', width);
    const end = blank > 0 ? blank : width;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
}

/** Prints `name: value` lines about one thing, for people. */
export function printFields(fields: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length)) + 1;
  const lines = fields.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value || '-'}`);
  printLines(...lines);
}

/** Prints the value of a verb as JSON; indented on a terminal. The verb is there for the compiler: it says what the value is. */
export function printResult<Verb extends keyof Results>(_verb: Verb, value: Results[Verb]): void {
  const json = JSON.stringify(value, null, output().stdout.isTTY ? 2 : 0);
  printOwn(`${visibleJson(json)}\n`);
}
