import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { formatSize } from '../../base/size.ts';
import type { TemplateKind } from '../../codec/store-rows.ts';
import { importTemplate } from '../../manager/templates/import.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { printLines } from '../print.ts';
import { Progress } from '../progress.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

interface Options {
  readonly kind?: string;
  readonly label?: string;
  readonly note?: string;
  readonly shared?: string;
}

/** Defines the command `byref template import`. */
export default function build(): Command {
  return defineWaiting(
    'template import <template> <source>',
    'Add a version of a template. SOURCE is a directory, a tar (plain, gzip, xz, zstd), an archive of an image (docker save, oci-archive), or oci:DIR[:TAG].',
  )
    .option('--kind <kind>', 'os or app, for a new template (os)')
    .option('--label <text>', 'what the version is called, such as 12.7')
    .option('--note <text>', 'what to remember of it')
    .option('--shared <patterns>', 'paths of the shared data path, separated by commas')
    .action(async (name: string, source: string, options: Options) => {
      const context = contextOf(options);
      const progress = new Progress({ json: context.json });
      const { template, version } = await withStore(context, 'add', (store) =>
        importTemplate(store, name, source, {
          ...settings(options),
          progress: progress.update,
          warn: (message) => progress.note(`byref: ${message}`),
        }),
      ).finally(() => progress.end());
      if (context.json) {
        const { dateMs, ...rest } = version;
        const date = new Date(dateMs).toISOString();
        printJson({ template: template.name, kind: template.kind, version: { ...rest, date } });
        return;
      }
      const { number, files, directories, bytes, addedObjects, addedBytes } = version;
      printLines(
        `${template.name}@${number}: ${files} files in ${directories} directories, ${formatSize(bytes)}; ` +
          `new: ${addedObjects} objects, ${formatSize(addedBytes)}`,
      );
      if (number !== template.current) {
        printLines(`staged; byref patch ${template.name} gives it to the envs`);
      }
    });
}

function settings({ kind, label, note, shared }: Options): object {
  return {
    ...(kind === undefined ? {} : { kind: kindOf(kind) }),
    ...(label === undefined ? {} : { label }),
    ...(note === undefined ? {} : { note }),
    ...(shared === undefined ? {} : { sharedPatterns: shared.split(',') }),
  };
}

function kindOf(text: string): TemplateKind {
  if (text === 'os' || text === 'app') return text;
  throw new ByrefError('usage', `no such kind: ${text}`, 'a template is of kind os or app');
}
