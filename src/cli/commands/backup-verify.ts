import path from 'node:path';
import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { verifyBackup } from '../../services/verify-backup.ts';
import { contextOf, define } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printLines } from '../print.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref backup verify`. */
export default function build(): Command {
  return define(
    'backup verify <file>',
    'Read all of a backup, and say whether it is whole and what is in it; - is standard input.',
  ).action(async (given: string, options: object) => {
    const context = contextOf(options);
    const { signal, release } = interruption();
    const file = given === '-' || given === '' ? given : path.resolve(given);
    const found = await verifyBackup(file, signal).finally(release);
    if (context.json) {
      printResult('backup verify', found);
      return;
    }
    const { backup, base, name, made, stack, withTemplates, files, bytes } = found;
    const versions = stack.map(({ template, version }) => `${template}@${version}`).join(', ');
    printLines(
      `${given} is whole: ${name}, made ${made}, with ${files} files (${formatSize(bytes)})`,
      base === null
        ? `it is the backup ${backup}`
        : `it is the backup ${backup}, and needs the backup ${base}`,
      `it needs ${versions}${withTemplates ? ', which came along' : ''}`,
    );
  });
}
