import type { Command } from 'commander';
import { type Name, nameToText } from '../../base/ids.ts';
import { type Difference, diffVersions } from '../../manager/templates/diff.ts';
import { contentDiff } from '../../manager/templates/diff-content.ts';
import { versionTree } from '../../manager/templates/walk-version.ts';
import type { Store } from '../../store/store.ts';
import { contextOf, define } from '../command.ts';
import { printContent, printLines, printNulEnded } from '../print.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

interface Options {
  readonly content?: boolean;
  readonly null?: boolean;
}

/** One difference, with the names that --json uses. `content` is there only with --content. */
interface Shown {
  readonly kind: Difference['kind'];
  readonly path: string;
  readonly content?: string;
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
        const all = await withStore(context, 'read', (store) => {
          const [from, to] = sides(store, name, a, b);
          return differences(store, from, to, options.content ?? false);
        });
        if (context.json) printJson(all);
        else for (const each of all) (options.null === true ? printWhole : print)(each);
      },
    );
}

/** Returns the two versions to compare: from `nginx`, `nginx 1`, `nginx 1 2`, or `nginx@1 other@2`. */
function sides(
  store: Store,
  name: string,
  a: string | undefined,
  b: string | undefined,
): [string, string] {
  if (a !== undefined && b === undefined && !/^\d+$/.test(a)) return [name, a];
  const { template } = store.catalog.resolve(name);
  return [
    `${template.name}@${a ?? template.current}`,
    `${template.name}@${b ?? store.catalog.newest(template).number}`,
  ];
}

function differences(store: Store, from: string, to: string, content: boolean): Shown[] {
  const [before, after] = [versionTree(store, from), versionTree(store, to)];
  return Array.from(diffVersions(store, from, to), (difference) => {
    const { kind, path } = difference;
    const shown = { kind, path: nameToText(path as Name) };
    return content ? { ...shown, content: contentDiff(store, before, after, difference) } : shown;
  });
}

function print({ kind, path, content = '' }: Shown): void {
  printLines(`${kind} ${path}`);
  printContent(...content.split('\n').slice(0, -1));
}

function printWhole({ kind, path, content }: Shown): void {
  printNulEnded(`${kind} ${path}`, ...(content === undefined ? [] : [content]));
}
