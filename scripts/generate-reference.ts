/**
 * Writes docs/reference/verbs.md from the commands themselves, so that it says what `--help` says:
 * `npm run docs:reference`. A test compares the file with what this makes.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Argument, Command, Option } from 'commander';
import { loadCommand } from '../src/cli/registry.ts';
import { VERBS, type Verb } from '../src/cli/verbs.ts';

/** The file that is written, relative to the repository. */
export const REFERENCE = 'docs/reference/verbs.md';

const INTRODUCTION = `# Verbs

This page lists every command of \`byref\` with its arguments and options. It is generated from the commands
(\`npm run docs:reference\`) and says what \`byref VERB --help\` says;
[verbs-explained](verbs-explained.md) says what a line of help can't.

Every command has these options, before or after its name:

| option | meaning |
|---|---|
| \`--root <dir>\` | the root to work on; without it \`BYREF_ROOT\`, and without that \`/var/lib/byref\` |
| \`--json\` | print JSON with [stable names](json.md) |
| \`-h\`, \`--help\` | print what the command does, and its options |
`;

/** Options of every command, which the introduction describes. */
const COMMON: ReadonlySet<string> = new Set(['--root', '--json', '--help']);

/** Pages that explain a verb, or a group of verbs, further. */
const PAGES: Readonly<Record<string, string>> = {
  'template build': 'building.md',
  'template update': 'building.md',
  'template capture': 'capturing.md',
  'template import': 'verbs-explained.md#images',
  'template list': 'verbs-explained.md#sizes-of-templates',
  'template show': 'verbs-explained.md#sizes-of-templates',
  patch: 'patching.md',
  rollback: 'patching.md',
  pin: 'patching.md',
  follow: 'patching.md',
  'saved list': '../guide/patching.md',
  'saved restore': '../guide/patching.md',
  'saved rm': '../guide/patching.md',
  stale: 'patching.md#packages-of-an-envs-own',
  relink: 'patching.md#dependencies',
  create: 'mounting.md#the-first-mount',
  'app add': 'building.md#apps',
  'app remove': 'building.md#apps',
  mount: 'mounting.md',
  umount: 'mounting.md#states-of-an-env',
  list: 'mounting.md#states-of-an-env',
  info: 'mounting.md#states-of-an-env',
  gc: '../guide/troubleshooting.md',
  fsck: '../internals/FSCK.md',
  scrub: 'verbs-explained.md#reading-all-objects',
  doctor: '../guide/troubleshooting.md',
};

/** Returns the text of the page: links to all verbs, then a section for each verb in the order of `byref help`. */
export async function referenceText(): Promise<string> {
  const sections = await Promise.all(
    VERBS.map(async (verb) => section(verb, await loadCommand(verb.name))),
  );
  const contents = VERBS.map(({ name }) => `[${name}](#${anchor(name)})`);
  return [INTRODUCTION, `${contents.join(' ·\n')}\n`, ...sections].join('\n');
}

function section({ name, aliases }: Verb, command: Command): string {
  const options = command.createHelp().visibleOptions(command).filter(isOwn);
  const page = PAGES[name];
  return [
    `## ${name}`,
    ['```', `${command.name()} ${command.usage()}`, '```'].join('\n'),
    escaped(command.description()),
    ...(aliases.length > 0 ? [`Also: ${aliases.map((alias) => `\`${alias}\``).join(', ')}.`] : []),
    ...argumentsText(command.registeredArguments),
    ...(options.length > 0 ? [optionsTable(options)] : []),
    ...(page === undefined ? [] : [`More: [${pageName(page)}](${page}).`]),
  ]
    .join('\n\n')
    .concat('\n');
}

const pageName = (page: string): string => page.replace(/^.*\/|[.]md.*$/g, '');

const isOwn = ({ long }: Option): boolean => long !== '--help' && !COMMON.has(long ?? '');

function argumentsText(operands: readonly Argument[]): string[] {
  if (operands.length === 0) return [];
  return [`Arguments: ${operands.map(argumentText).join('; ')}.`];
}

function argumentText(operand: Argument): string {
  const count = operand.variadic ? 'one or more' : 'required';
  return `\`${operand.name()}\` (${operand.required ? count : operand.variadic ? 'any number' : 'optional'})`;
}

function optionsTable(options: readonly Option[]): string {
  const rows = options.map((option) => {
    const standard = defaultText(option);
    return `| \`${option.flags}\` | ${escaped(option.description)}${standard && ` (${escaped(standard)})`} |`;
  });
  return ['| option | meaning |', '|---|---|', ...rows].join('\n');
}

/** Returns what an option's description does not say of its value: the default, or that there is none. */
function defaultText(option: Option): string {
  if (option.mandatory) return 'required';
  const value: unknown = option.defaultValue;
  if (value === undefined || value === '' || option.negate) return '';
  if (Array.isArray(value) && value.length === 0) return '';
  const text = option.defaultValueDescription ?? JSON.stringify(value).replaceAll('"', '');
  return `default: ${text}`;
}

/** Escapes what Markdown would take for a column or a tag. */
const escaped = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*');

const anchor = (heading: string): string => heading.replaceAll(' ', '-');

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(path.resolve(import.meta.dirname, '..', REFERENCE), await referenceText());
}
