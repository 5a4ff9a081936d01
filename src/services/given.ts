/**
 * Collects what a build or capture is given of this machine: variables and files, from the machine's own file, a
 * configuration, and the request.
 */
import { existsSync } from 'node:fs';
import { readGivenFile } from '../base/given-files.ts';
import { BIND, VARIABLE } from '../manager/recipes/build/config.ts';
import { FieldsParser, listOf } from '../manager/recipes/build/fields.ts';
import { type Given, parseVariables } from '../manager/sandbox/given.ts';
import { parseBind } from '../manager/sandbox/mountpoints.ts';

/** What a request adds, as texts. */
export interface GivenTexts {
  /** Each NAME=VALUE, or NAME for the value that it has here. */
  readonly env?: readonly string[];
  /** Each SOURCE, or SOURCE:PLACE. */
  readonly bind?: readonly string[];
}

/** The machine's file: what every build and capture on this machine is given. */
const FILE = process.env['BYREF_BUILDS'] ?? '/etc/byref/builds.yaml';
const FIELDS = { env: listOf(VARIABLE), binds: listOf(BIND) };

interface Own {
  readonly env: readonly string[];
  readonly binds: readonly string[];
}

const NOTHING: Own = { env: [], binds: [] };

/**
 * Returns what is given altogether. For one variable the last source counts, in the order above.
 * @param own what a configuration says
 * @throws ByrefError 'usage', 'badInput' for something that does not exist, or a wrong machine's file
 */
export function givenTo(asked: GivenTexts, own: Own = NOTHING): Given {
  const machine = machineFile();
  const env = parseVariables([...machine.env, ...own.env, ...(asked.env ?? [])]);
  const binds = [...machine.binds, ...own.binds, ...(asked.bind ?? [])].map(parseBind);
  const byTarget = new Map(binds.map((bind) => [bind.target, bind]));
  return { env, binds: [...byTarget.values()] };
}

function machineFile(): Own {
  if (!existsSync(FILE)) return NOTHING;
  const hint = 'See "What a build is given" in docs/reference/building.md.';
  const about = { file: FILE, example: 'env: [HTTPS_PROXY]', hint };
  const parser = new FieldsParser(FIELDS, readGivenFile(FILE, hint), about);
  const { env = [], binds = [] } = parser.fields();
  parser.refuseIfAny();
  return { env, binds };
}
