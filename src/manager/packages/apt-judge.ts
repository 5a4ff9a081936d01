/**
 * Asks apt about the dependencies in a system of given packages. apt judges records alone, in a directory of its own: it uses
 * no repository and no network, and no file of the machine that it could change.
 */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Ended, runProgram } from '../../base/run-program.ts';
import { isPresent, type PackageRecord } from '../merge/packages.ts';
import { fieldsOf } from '../merge/stanzas.ts';

/** One dependency that is not met, or one conflict. */
export interface Unmet {
  /** Equal whenever the same dependency of the same package is not met, no matter what is installed instead. */
  readonly key: string;
  /** In apt's words: "libx-dev : Depends: libx (= 1) but 2 is installed". */
  readonly text: string;
  /** The package that has the dependency, then those that it names; without architectures. */
  readonly names: readonly [string, ...string[]];
}

/** A judgement of apt. `unable` says in a sentence why it could not judge. */
export type Judgement = { readonly unmet: readonly Unmet[] } | { readonly unable: string };

const TIMEOUT_MS = 60_000;
const OUTPUT_MAX = 16 * 2 ** 20;
/** The ids of `nobody`, under which apt runs because it reads what envs have written. */
const NOBODY = '65534';
/** apt's exit code both for packages that do not fit together and for all errors. */
const APT_FAILED = 100;

const CONFINED = [
  'unshare',
  ...['--net', '--ipc', '--'],
  ...['setpriv', '--pdeathsig=KILL', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
  ...['--no-new-privs', '--bounding-set=-all', '--inh-caps=-all'],
] as const;

/** Judgements by a hash of the records, because hundreds of envs have the same ones. */
const known = new Map<string, Promise<Judgement>>();
const KNOWN_MAX = 1024;

/**
 * Returns what apt-get check says of these packages.
 * @param records of a status file; packages that are not present are ignored
 */
export function judge(
  records: Iterable<PackageRecord>,
  architectures: readonly string[],
): Promise<Judgement> {
  const status = statusOf(records);
  const key = createHash('sha256')
    .update(`${architectures.join(' ')}\n${status}`, 'latin1')
    .digest('hex');
  let found = known.get(key);
  if (found === undefined) {
    found = aptCheck(status, architectures);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(key, found);
  }
  return found;
}

/** Returns the records as far as dependencies go, sorted: equal for systems that are alike to apt. */
export const statusOf = (records: Iterable<PackageRecord>): string =>
  [...records].filter(isPresent).map(dependencyStanza).sort().join('');

/** The fields of a record that decide what fits together. */
const FIELDS: ReadonlySet<string> = new Set([
  ...['package', 'architecture', 'version', 'multi-arch'],
  ...['depends', 'pre-depends', 'breaks', 'conflicts', 'provides'],
]);

const stanzas = new Map<string, string>();
const STANZAS_MAX = 20_000;

/** Writes a record as if it were installed completely: an installation that broke off does not concern dependencies. */
function dependencyStanza({ stanza }: PackageRecord): string {
  let found = stanzas.get(stanza);
  if (found === undefined) {
    const fields = fieldsOf(stanza).filter(({ key }) => FIELDS.has(key));
    found = [...fields.map(({ text }) => text), 'Status: install ok installed', '', ''].join('\n');
    if (stanzas.size >= STANZAS_MAX) stanzas.clear();
    stanzas.set(stanza, found);
  }
  return found;
}

async function aptCheck(status: string, architectures: readonly string[]): Promise<Judgement> {
  const dir = mkdtempSync(path.join(tmpdir(), 'byref-apt-'));
  try {
    chmodSync(dir, 0o755);
    for (const each of ['etc/apt.conf.d', 'etc/sources.list.d', 'etc/preferences.d', 'lists'])
      mkdirSync(path.join(dir, each), { recursive: true });
    for (const each of ['etc/sources.list', 'etc/preferences'])
      writeFileSync(path.join(dir, each), '');
    writeFileSync(path.join(dir, 'status'), status, 'latin1');
    writeFileSync(path.join(dir, 'apt.conf'), configuration(dir, architectures));
    return await run(path.join(dir, 'apt.conf'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Returns a configuration by which apt reads nothing of the machine's own apt, and writes nothing. */
function configuration(dir: string, architectures: readonly string[]): string {
  const [native] = architectures;
  const all = architectures.map((each) => `"${each}";`).join(' ');
  return [
    `Dir "${dir}/";`,
    'Dir::Etc "etc";',
    'Dir::State "";',
    `Dir::State::status "${dir}/status";`,
    `Dir::State::lists "${dir}/lists";`,
    'Dir::Cache "";',
    'Dir::Cache::pkgcache "";',
    'Dir::Cache::srcpkgcache "";',
    'Debug::NoLocking "true";',
    ...(native === undefined
      ? []
      : [`APT::Architecture "${native}";`, `APT::Architectures { ${all} };`]),
    '',
  ].join('\n');
}

async function run(configured: string): Promise<Judgement> {
  const searched = process.env['PATH'];
  const ended = await runProgram([...CONFINED, 'apt-get', 'check'], {
    env: {
      LC_ALL: 'C.UTF-8',
      APT_CONFIG: configured,
      ...(searched === undefined ? {} : { PATH: searched }),
    },
    timeoutMs: TIMEOUT_MS,
    outputMax: OUTPUT_MAX,
    ofMore: 'none',
  });
  if (ended.code === 0) return { unmet: [] };
  const unmet = ended.code === APT_FAILED ? parseUnmet(ended.stdout.toString()) : [];
  return unmet.length > 0 ? { unmet } : { unable: whyUnable(ended) };
}

const NOT_FOUND = 127;

function whyUnable({ code, notStarted, how, stderr }: Ended): string {
  if (notStarted === 'ENOENT' || code === NOT_FOUND) {
    return 'this machine has no apt-get, unshare or setpriv (apt-get install apt util-linux)';
  }
  const said = stderr
    .toString()
    .split('\n')
    .filter((line) => /^E: /.test(line));
  return `apt-get check failed: ${said.join(' ') || how}`;
}

const KIND = /^(?:PreDepends|Depends|Conflicts|Breaks|Obsoletes|Replaces): /;

/**
 * Parses the list of what is not met in apt-get's output: " PACKAGE : KIND: NAME (= 1) but 2 is installed". Further
 * dependencies of the package follow below it without its name, and alternatives after " or".
 */
export function parseUnmet(printed: string): Unmet[] {
  const found: { of: string; lines: string[] }[] = [];
  let of: string | null = null;
  for (const line of printed.split('\n')) {
    const [, name, first] = /^ (\S+) : (.*)$/.exec(line) ?? [];
    const text: string | null =
      first ?? (of !== null && /^ {2,}\S/.test(line) ? line.trim() : null);
    of = name ?? (text === null ? null : of);
    if (text === null || of === null) continue;
    if (KIND.test(text)) found.push({ of, lines: [text] });
    else found.at(-1)?.lines.push(text);
  }
  return found.map(({ of: by, lines }) => {
    const text = lines.join(' ');
    const alternatives = text.replace(KIND, '').split(' or ');
    const what = alternatives.map((each) => each.replace(/ but .*$/, ''));
    const others = what.map((each) => nameOf(each.split(' ')[0]!));
    const key = `${by} ${KIND.exec(text)?.[0] ?? ''}${what.join(' | ')}`;
    return { key, text: `${by} : ${text}`, names: [nameOf(by), ...others] };
  });
}

/** Returns the key of a dependency that was written down in apt's words (`Unmet.text`); null if it is none. */
export const keyOfText = (text: string): string | null => parseUnmet(` ${text}`)[0]?.key ?? null;

const nameOf = (text: string): string => text.replace(/:.*$/, '');
