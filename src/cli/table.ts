import type { Command } from 'commander';
import { ByrefError } from '../base/error.ts';
import { visible, visibleJson } from '../base/visible.ts';
import { printLines, printNulEnded, printOwn } from './print.ts';

/** One column of a table: how it is called for -o and in JSON, and how people see it. */
export interface Column<Row> {
  readonly field: string;
  /** Shown without -o. */
  readonly standard: boolean;
  readonly right?: boolean;
  text(row: Row): string;
}

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

/** Adds -H, -o, -q and -z. `fields` are the names that -o takes. */
export function tableOptions(command: Command, fields: readonly string[]): Command {
  return command
    .option('-H, --no-header', 'no header line')
    .option('-o, --output <fields>', `columns, separated by commas: ${fields.join(', ')}`)
    .option('-q, --quiet', 'the first column only, without a header')
    .option('-z, --null', 'fields whole, as they are, with a NUL behind each; no header');
}

/**
 * Prints rows as a table. On a terminal columns are aligned by blanks; piped, fields are separated by
 * one tab, never trimmed or wrapped. An empty field is `-`, so that columns can be counted. What would do
 * something to a terminal, or look like another field or line, is escaped.
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
  const text = process.stdout.isTTY ? align(lines, chosen) : lines.map((line) => line.join('\t'));
  printOwn(`${text.join('\n')}\n`);
}

function choose<Row>(columns: readonly Column<Row>[], options: TableOptions): Column<Row>[] {
  const { output } = options;
  const chosen =
    output === undefined
      ? columns.filter((column) => column.standard)
      : output.split(',').map((field) => byField(columns, field.trim()));
  return options.quiet ? chosen.slice(0, 1) : chosen;
}

function byField<Row>(columns: readonly Column<Row>[], field: string): Column<Row> {
  const column = columns.find((candidate) => candidate.field === field);
  if (column) return column;
  const known = columns.map((candidate) => candidate.field).join(', ');
  throw new ByrefError('usage', `no such column: ${field}`, `columns are: ${known}`);
}

function align<Row>(lines: readonly string[][], columns: readonly Column<Row>[]): string[] {
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines.map((line) =>
    line
      .map((cell, i) => (columns[i]!.right ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** `name: value` lines for one thing, for people. */
export function printFields(fields: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length)) + 1;
  const lines = fields.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value || '-'}`);
  printLines(...lines);
}

export function printJson(value: unknown): void {
  const json = JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0);
  printOwn(`${visibleJson(json)}\n`);
}
