import type { Command } from 'commander';

/** One verb: what `byref help` says of it, and the module that does it, loaded when it is used. */
export interface Verb {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  load(): Promise<{ default: () => Command }>;
}

const verb = (
  name: string,
  summary: string,
  load: Verb['load'],
  aliases: readonly string[] = [],
): Verb => ({ name, aliases, summary, load });

/** Every verb of byref, in the order of `byref help`. Two words make a verb of a group. */
export const VERBS: readonly Verb[] = [
  verb(
    'init',
    'make a root: the directory that holds everything',
    () => import('./commands/init.ts'),
  ),
  verb(
    'template import',
    'add a version of a template from a directory, tar or OCI layout',
    () => import('./commands/template-import.ts'),
  ),
  verb('template list', 'list templates', () => import('./commands/template-list.ts'), [
    'template ls',
  ]),
  verb(
    'template show',
    'show a template and its versions',
    () => import('./commands/template-show.ts'),
  ),
  verb(
    'template diff',
    'show what changed between two versions',
    () => import('./commands/template-diff.ts'),
  ),
  verb(
    'template rm',
    'remove a template or a version of it',
    () => import('./commands/template-rm.ts'),
  ),
  verb(
    'template export',
    'write a version as a tar',
    () => import('./commands/template-export.ts'),
  ),
  verb(
    'create',
    'make an env from one OS template and any app templates',
    () => import('./commands/create.ts'),
  ),
  verb('mount', 'mount envs', () => import('./commands/mount.ts')),
  verb('umount', 'unmount envs', () => import('./commands/umount.ts'), ['unmount']),
  verb('list', 'list envs', () => import('./commands/list.ts'), ['ls']),
  verb('info', 'show one env', () => import('./commands/info.ts')),
  verb('diff', 'show what an env changed', () => import('./commands/diff.ts')),
  verb('df', 'show apparent, private and shared bytes per env', () => import('./commands/df.ts')),
  verb('destroy', 'remove envs and all they hold', () => import('./commands/destroy.ts'), [
    'delete',
    'rm',
  ]),
  verb('doctor', 'show what this machine can do', () => import('./commands/doctor.ts')),
  verb(
    'completion',
    'print a completion script for a shell',
    () => import('./commands/completion.ts'),
  ),
];

/** Words that begin a two-word verb. */
export const isGroup = (word: string): boolean =>
  VERBS.some((entry) => entry.name.startsWith(`${word} `));

export const findVerb = (name: string): Verb | undefined =>
  VERBS.find((entry) => entry.name === name || entry.aliases.includes(name));
