import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { formatSize } from '../../base/size.ts';
import type { TemplateKind } from '../../codec/store-rows.ts';
import { importVersion } from '../../services/import-template.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { objectsText } from '../numbers.ts';
import { printLines } from '../print.ts';
import { Progress } from '../progress.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly kind?: string;
  readonly label?: string;
  readonly note?: string;
  readonly shared?: string;
  readonly needs?: string;
}

/** Defines the command `byref template import`. */
export default function build(): Command {
  return defineWaiting(
    'template import <template> <source>',
    'Add a version of a template. SOURCE is a directory, a tar (plain, gzip, xz, zstd; - is standard input), an archive of an image (docker save, oci-archive), or oci:DIR[:TAG].',
  )
    .option('--kind <kind>', 'os or app, for a new template (os)')
    .option('--label <text>', 'what the version is called, such as 12.7')
    .option('--note <text>', 'what to remember of it')
    .option('--shared <patterns>', 'paths of the shared data path, separated by commas')
    .option(
      '--needs <file>',
      'a YAML file of what its envs need, as the field needs of a build file',
    )
    .action(async (name: string, source: string, options: Options) => {
      const context = contextOf(options);
      const progress = new Progress({ json: context.json });
      const imported = await withStore(context, 'add', (store) =>
        importVersion(
          store,
          name,
          source,
          {
            ...settings(options),
            progress: progress.update,
            warn: (message) => progress.note(`byref: ${message}`),
          },
          options.needs,
        ),
      ).finally(() => progress.end());
      if (context.json) {
        printResult('template import', imported);
        return;
      }
      const { template, version } = imported;
      const { number, files, directories, bytes, addedObjects, addedBytes, staged } = version;
      printLines(
        `${template}@${number}: ${files} files in ${directories} directories, ${formatSize(bytes)}; ` +
          `new: ${objectsText(addedObjects)}, ${formatSize(addedBytes)}`,
      );
      if (staged) printLines(`staged; byref patch ${template} gives it to the envs`);
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
  throw new ByrefError('usage', `no such kind: ${text}`, 'A template is of kind os or app.');
}
