import path from 'node:path';
import type { Command } from 'commander';
import { exportVersion } from '../../services/export-template.ts';
import { contextOf, define } from '../command.ts';
import { printLines } from '../print.ts';
import { Progress } from '../progress.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref template export`. */
export default function build(): Command {
  return define(
    'template export <template> <tar>',
    'Write a version (NAME or NAME@VERSION) as a tar; - is standard output.',
  ).action(async (name: string, target: string, options: object) => {
    const context = contextOf(options);
    const file = target === '-' || target === '' ? target : path.resolve(target);
    const progress = new Progress({ json: context.json });
    const exported = await withStore(context, 'read', (store) =>
      exportVersion(store, name, file, progress.update, context.patience.tell),
    ).finally(() => progress.end());
    if (target === '-') return;
    if (context.json) printResult('template export', exported);
    else printLines(`${name}: written to ${target}`);
  });
}
