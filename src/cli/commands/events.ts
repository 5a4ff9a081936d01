import type { Command } from 'commander';
import { DaemonClient } from '../../api/client.ts';
import { visibleJson } from '../../base/visible.ts';
import { contextOf, define } from '../command.ts';
import { parseCount } from '../numbers.ts';
import { printLines, printOwn } from '../print.ts';

/** Defines the command `byref events`. */
export default function build(): Command {
  return define('events', 'Follow what happens to envs, templates and operations.')
    .option(
      '--after <number>',
      'begin after the event of this number; 0: with all that is kept',
      parseCount,
    )
    .action(async ({ after, ...options }: { after?: number }) => {
      const { root, json } = contextOf(options);
      const daemon = await DaemonClient.need(root);
      for await (const event of daemon.events(after ?? null)) {
        const { number: _number, at, what, ...fields } = event;
        if (json) printOwn(`${visibleJson(JSON.stringify(event))}\n`);
        else printLines(`${at} ${what} ${fieldsText(fields)}`.trimEnd());
      }
    });
}

const fieldsText = (fields: Readonly<Record<string, unknown>>): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
