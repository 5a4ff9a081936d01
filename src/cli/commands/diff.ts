import type { Command } from 'commander';
import { envDiff } from '../../env/diff.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

export default function build(): Command {
  return define('diff <env>', 'Show what an env added (A), changed (C) and deleted (D).').action(
    async (name: string, options: object) => {
      const context = contextOf(options);
      const changes = await withStore(context, 'read', (store) =>
        envDiff(store, store.needEnv(name)),
      );
      if (context.json) printJson(changes);
      else process.stdout.write(changes.map(({ kind, path }) => `${kind} ${path}\n`).join(''));
    },
  );
}
