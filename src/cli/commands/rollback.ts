import type { Command } from 'commander';
import { moveCurrent } from '../../patch/patch.ts';
import { needTemplate, rollbackTarget } from '../../patch/target.ts';
import { contextOf, define } from '../command.ts';
import { parseCount } from '../numbers.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

interface Options {
  readonly to?: number;
}

export default function build(): Command {
  return define(
    'rollback <template>',
    'Take all envs that follow a template to another version of it.',
  )
    .option('--to <version>', 'the version (the newest staged one)', parseCount)
    .action(async (name: string, options: Options) => {
      const context = contextOf(options);
      await withStore(context, 'write', async (store) => {
        const template = needTemplate(store, name);
        const version = rollbackTarget(store, template, options.to ?? null);
        if (version === null || version.number === template.current) return;
        printJson(await moveCurrent(store, template, version, { kind: 'rollback' }));
      });
    });
}
