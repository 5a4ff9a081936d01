import type { Command } from 'commander';
import { diffTemplates, type TemplateDifference } from '../../services/diff-templates.ts';
import { contextOf, define } from '../command.ts';
import { printContent, printLines, printNulEnded } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly content?: boolean;
  readonly null?: boolean;
}

/** Defines the command `byref template diff`. */
export default function build(): Command {
  return define(
    'template diff <template> [a] [b]',
    'Show what was added (A), changed (C) and deleted (D) from version A to B of a template (from the current one to the newest, unless told); or from NAME@A to NAME@B, of any two templates.',
  )
    .option('--content', 'and the differences of texts')
    .option(
      '-z, --null',
      'lines (and each difference) whole, as they are, with a NUL at the end of each',
    )
    .action(
      async (name: string, a: string | undefined, b: string | undefined, options: Options) => {
        const context = contextOf(options);
        const { content = false } = options;
        const request = { name, a: a ?? null, b: b ?? null, content };
        const all = await withStore(context, 'read', (store) => diffTemplates(store, request));
        if (context.json) printResult('template diff', all);
        else for (const each of all) (options.null === true ? printWhole : print)(each);
      },
    );
}

function print({ kind, path, content = '' }: TemplateDifference): void {
  printLines(`${kind} ${path}`);
  printContent(...content.split('\n').slice(0, -1));
}

function printWhole({ kind, path, content }: TemplateDifference): void {
  printNulEnded(`${kind} ${path}`, ...(content === undefined ? [] : [content]));
}
