import type { Command } from 'commander';
import { programsText } from '../../manager/recipes/capture/listing.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { type Origin, originOf } from '../../services/explain-path.ts';
import { contextOf, define } from '../command.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref template which`. */
export default function build(): Command {
  return define(
    'template which <env> <path>',
    'Say where a path of an env comes from: its own, or which template, version and package.',
  ).action(async (name: string, path: string, options: object) => {
    const context = contextOf(options);
    const origin = await withStore(context, 'read', (store) =>
      originOf(store, needPeoplesEnv(store, name), path),
    );
    if (context.json) printResult('template which', origin);
    else printLines(`${origin.real}: ${textOf(name, origin)}`);
  });
}

function textOf(env: string, origin: Origin): string {
  const { what } = origin;
  const has = sourceOf(origin);
  if (what === 'template') return has?.replace(/^of /, '') ?? 'no template';
  const did = what === 'removed' ? `${env} removed it` : `${env}'s own`;
  return has === null ? did : `${did}; the template's is ${has}`;
}

function sourceOf(origin: Origin): string | null {
  const { template, version, package: owner, merged, writtenBy } = origin;
  if (merged.length > 0) return `merged of ${merged.join(', ')}`;
  if (template === null) return null;
  return `of ${template}@${version}${owner === null ? capturedText(writtenBy) : `, package ${owner}`}`;
}

function capturedText(writtenBy: readonly string[] | null): string {
  if (writtenBy === null) return '';
  return writtenBy.length === 0
    ? ', captured'
    : `, captured: written by ${programsText(writtenBy)}`;
}
