/**
 * Collects what a build or capture is given of this machine: variables and files, from the machine's own file,
 * a configuration, and the command line.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { BIND, VARIABLE } from '../manager/recipes/build/config.ts';
import { FieldsParser, listOf } from '../manager/recipes/build/fields.ts';
import { type Given, parseVariables } from '../manager/sandbox/given.ts';
import { parseBind } from '../manager/sandbox/mountpoints.ts';

/** The options as commander parses them. */
export interface GivenOptions {
  readonly env?: readonly string[];
  readonly bind?: readonly string[];
}

/** The machine's file: what every build and capture on this machine is given. */
const FILE = process.env['BYREF_BUILDS'] ?? '/etc/byref/builds.yaml';
const FIELDS = { env: listOf(VARIABLE), binds: listOf(BIND) };

const append = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

/** Adds the options to a command. */
export const givenOptions = (command: Command): Command =>
  command
    .option<readonly string[]>(
      '-v, --bind <source>',
      'a directory or file of the host that can be read there: SOURCE or SOURCE:PLACE; may be repeated',
      append,
    )
    .option<readonly string[]>(
      '-e, --env <name[=value]>',
      'a variable of its environment, or one with the value that it has here; may be repeated',
      append,
    );

/**
 * Returns what is given altogether. For one variable the last source counts, in the order above.
 * @param own what a configuration says
 * @throws ByrefError 'usage', 'badInput' for something that does not exist, or a wrong machine's file
 */
export function givenTo(
  options: GivenOptions,
  own: { readonly env: readonly string[]; readonly binds: readonly string[] } = {
    env: [],
    binds: [],
  },
): Given {
  const machine = machineFile();
  const env = parseVariables([...machine.env, ...own.env, ...(options.env ?? [])]);
  const binds = [...machine.binds, ...own.binds, ...(options.bind ?? [])].map(parseBind);
  const byTarget = new Map(binds.map((bind) => [bind.target, bind]));
  return { env, binds: [...byTarget.values()] };
}

function machineFile(): { readonly env: readonly string[]; readonly binds: readonly string[] } {
  if (!existsSync(FILE)) return { env: [], binds: [] };
  const hint = 'See "What a build is given" in docs/reference/building.md.';
  const about = { file: FILE, example: 'env: [HTTPS_PROXY]', hint };
  const parser = new FieldsParser(FIELDS, readFileSync(FILE, 'utf8'), about);
  const { env = [], binds = [] } = parser.fields();
  parser.refuseIfAny();
  return { env, binds };
}
