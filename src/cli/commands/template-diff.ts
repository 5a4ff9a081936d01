import type { Command } from 'commander';
import { type Name, nameToText } from '../../base/ids.ts';
import { diffVersions } from '../../template/diff.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

export default function build(): Command {
  return define(
    'template diff <from> <to>',
    'Show what was added (A), changed (C) and deleted (D) from one version to another.',
  ).action(async (from: string, to: string, options: object) => {
    const context = contextOf(options);
    const differences = await withStore(context, 'read', (store) =>
      Array.from(diffVersions(store, from, to), ({ kind, path }) => ({
        kind,
        path: nameToText(path as Name),
      })),
    );
    if (context.json) printJson(differences);
    else process.stdout.write(differences.map(({ kind, path }) => `${kind} ${path}\n`).join(''));
  });
}
