/** The configuration of a daemon: docs/reference/daemon.md. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readGivenFile } from '../base/given-files.ts';
import { sizeOf } from '../base/size.ts';
import { FieldsParser, type Kind, oneOf, text, yesOrNo } from '../manager/recipes/build/fields.ts';

/** What a daemon is told. */
export interface DaemonConfig {
  /** Absolute path of the root. */
  readonly root: string;
  readonly log: 'debug' | 'info' | 'warn' | 'error';
  /** An address of TCP, HOST:PORT, where /metrics and /healthz are, too, without a password; null: nowhere. */
  readonly metrics: string | null;
  /** True: envs with boot.autostart are started when the daemon starts for the first time since the machine booted. */
  readonly autostart: boolean;
  /** How many operations that have ended are kept. */
  readonly keepOperations: number;
  /** How long after the end of a round over all objects the next one begins, in ms; null: never. */
  readonly scrubEveryMs: number | null;
  /** How many bytes such a round reads in a second. */
  readonly scrubRate: number;
}

/** Where the configuration is, if no other file is named. */
export const CONFIG_FILE = '/etc/byref/daemon.yaml';

const HINT = 'The fields are in docs/reference/daemon.md.';

const KEEP_OPERATIONS = 200;
const KEEP_MAX = 100_000;

const count: Kind<number> = {
  what: `a whole number from 1 to ${KEEP_MAX}`,
  read: (value) =>
    Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= KEEP_MAX
      ? (value as number)
      : undefined,
};

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** As long as it takes that a bad sector is noticed before its copies are gone; ext4's and ZFS's users scrub as often. */
const SCRUB_EVERY_MS = 30 * DAY_MS;
/** A tenth of what a slow disk reads: half a terabyte in seven hours. */
const SCRUB_RATE = 20 * 2 ** 20;
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: MINUTE_MS,
  h: 60 * MINUTE_MS,
  d: DAY_MS,
};

const interval: Kind<number | null> = {
  what: 'a time, as 12h or 30d, or never',
  read(value) {
    if (value === 'never') return null;
    const [, number, unit = ''] =
      typeof value === 'string' ? (/^([1-9]\d{0,4})([smhd])$/.exec(value) ?? []) : [];
    return number === undefined ? undefined : Number(number) * UNITS_MS[unit]!;
  },
};

const rate: Kind<number> = {
  what: 'a size, as 20MiB',
  read: (value) => (typeof value === 'string' && sizeOf(value)) || undefined,
};

const KINDS = {
  root: text('an absolute path', /^\//),
  log: oneOf('debug', 'info', 'warn', 'error'),
  metrics: text('HOST:PORT, as 127.0.0.1:9464', /^(?:\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}$/),
  autostart: yesOrNo,
  'keep-operations': count,
  'scrub-every': interval,
  'scrub-rate': rate,
};

/**
 * Reads the configuration.
 * @param given the file that the command line names; without one, CONFIG_FILE if it is there
 * @param root the root that the command line or the environment names, which counts more; else null
 * @throws ByrefError 'notFound', 'badInput' with a line for each mistake
 */
export function readConfig(
  given: string | undefined,
  root: string | null,
  standardRoot: string,
): DaemonConfig {
  const file = given ?? process.env['BYREF_CONFIG'] ?? CONFIG_FILE;
  const isNamed = given !== undefined || process.env['BYREF_CONFIG'] !== undefined;
  const source = isNamed || existsSync(file) ? readGivenFile(file, HINT) : '';
  const fields = source.trim() === '' ? {} : parse(file, source);
  return {
    root: root ?? path.resolve(fields.root ?? standardRoot),
    log: fields.log ?? 'info',
    metrics: fields.metrics ?? null,
    autostart: fields.autostart ?? true,
    keepOperations: fields['keep-operations'] ?? KEEP_OPERATIONS,
    scrubEveryMs: fields['scrub-every'] === undefined ? SCRUB_EVERY_MS : fields['scrub-every'],
    scrubRate: fields['scrub-rate'] ?? SCRUB_RATE,
  };
}

function parse(file: string, source: string) {
  const parser = new FieldsParser(KINDS, source, {
    file,
    example: 'log: info',
    hint: HINT,
  });
  const fields = parser.fields();
  parser.refuseIfAny();
  return fields;
}
