import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { formatSize } from '../../base/size.ts';
import { removedResult, removeTemplate, removeVersion } from '../../services/remove-template.ts';
import { parseTemplateRef } from '../../store/names.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { LATER } from '../notes.ts';
import { objectsText } from '../numbers.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref template rm`. */
export default function build(): Command {
  return defineWaiting(
    'template rm <template>',
    'Remove a template that no env uses, or one version of it (NAME@VERSION), and the objects that nothing else has.',
  )
    .option('--force', 'also a version that is staged, or that a rollback would go back to')
    .action(async (ref: string, options: { readonly force?: boolean }) => {
      const context = contextOf(options);
      const { name, version } = parseTemplateRef(ref);
      const { force = false } = options;
      if (version === null && force) {
        throw new ByrefError('usage', '--force is for one version', 'Name NAME@VERSION.');
      }
      const freed = await withStore(context, 'write', (store) =>
        version === null ? removeTemplate(store, name) : removeVersion(store, name, version, force),
      );
      if (context.json) {
        printResult('template rm', removedResult(ref, freed));
        return;
      }
      const size = formatSize(freed.bytes);
      printLines(
        `${ref}: removed; freed ${objectsText(freed.objects)}, ${size}${freed.later ? LATER : ''}`,
      );
    });
}
