import type { Command } from 'commander';
import { EXIT } from '../../base/exit-codes.ts';
import type { Check } from '../../manager/upkeep/doctor/check.ts';
import { diagnose } from '../../manager/upkeep/doctor/doctor.ts';
import { contextOf, define } from '../command.ts';
import { setExitCode } from '../output.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<Check>[] = [
  { field: 'name', standard: true, text: (entry) => entry.name },
  { field: 'status', standard: true, text: (entry) => entry.status },
  { field: 'found', standard: true, text: (entry) => entry.found },
  { field: 'cost', standard: true, text: (entry) => entry.cost },
  { field: 'required', standard: false, text: (entry) => (entry.required ? 'yes' : 'no') },
];

/** Defines the command `byref doctor`. */
export default function build(): Command {
  const command = define('doctor', 'Show what this machine can do, and what each lack costs.');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (options: TableOptions) => {
    const { root, json } = contextOf(options);
    const diagnosis = await diagnose(root);
    if (json) printResult('doctor', diagnosis);
    else printTable(diagnosis.checks, COLUMNS, options);
    if (!diagnosis.usable) setExitCode(EXIT.unsupported);
  });
}
