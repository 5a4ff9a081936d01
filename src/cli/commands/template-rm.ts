import type { Command } from 'commander';
import { removeTemplate } from '../../template/remove.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { formatSize } from '../size.ts';
import { printJson } from '../table.ts';

export default function build(): Command {
  return define(
    'template rm <template>',
    'Remove a template that no env uses, and the objects that no other template has.',
  ).action(async (name: string, options: object) => {
    const context = contextOf(options);
    const freed = await withStore(context, 'write', (store) => removeTemplate(store, name));
    if (context.json) {
      printJson({ template: name, freedObjects: freed.objects, freedBytes: freed.bytes });
      return;
    }
    const size = formatSize(freed.bytes);
    process.stdout.write(`${name}: removed; freed ${freed.objects} objects, ${size}\n`);
  });
}
