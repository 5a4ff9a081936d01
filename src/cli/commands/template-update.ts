import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { needTemplate } from '../../patch/target.ts';
import { type BuildOptions, buildOptions, runBuild } from '../build-run.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';

export default function build(): Command {
  const command = define(
    'template update <template>',
    'Build a template again as its newest version was built, with the packages that there are now.',
  );
  return buildOptions(command).action((name: string, options: BuildOptions) =>
    runBuild(options, (context) =>
      withStore(contextOf(context), 'read', (store) => {
        const { id, newest } = needTemplate(store, name);
        const source = store.catalog.version(id, newest)?.config ?? '';
        if (source !== '') return { file: `${name}@${newest}`, source };
        const message = `${name}@${newest} was not built, but imported or captured`;
        const hint = 'Use byref template build FILE, or import or capture it again.';
        throw new ByrefError('usage', message, hint);
      }),
    ),
  );
}
