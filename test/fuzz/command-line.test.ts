/** Random command lines: each is done or refused with a sentence. scripts/soak.sh tries more than a thousand. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { loadCommand } from '../../src/cli/registry.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { BYREF, output } from '../support/machine/program.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { TestRoot } from '../support/machine/root.ts';
import { isStack, type Outcome, Outcomes } from './outcome.ts';

let root: TestRoot;
let cwd: string;

/** Files of all kinds, by their names in the directory where commands are run. */
const FILES = [
  'null',
  'directory',
  'bytes',
  'settings.yaml',
  'dangling',
  'loop',
  'missing',
  'missing/x',
];

beforeAll(async () => {
  root = await TestRoot.create();
  cwd = root.directory('cwd');
  await output('mknod', [path.join(cwd, 'null'), 'c', '1', '3']);
  mkdirSync(path.join(cwd, 'directory'));
  writeFileSync(path.join(cwd, 'bytes'), Buffer.from([0, 255, 10, 128, 27, 91]));
  writeFileSync(path.join(cwd, 'settings.yaml'), 'settings: {limits.cpu: 2}\n');
  symlinkSync('nowhere', path.join(cwd, 'dangling'));
  symlinkSync('loop', path.join(cwd, 'loop'));
  writeFileSync(path.join(root.base, 'precious'), 'precious');
  symlinkSync('../precious', path.join(cwd, 'bytes.partial'));
  await root.import('t', root.directory('source'));
  await root.create('one', 't');
  await root.create('two', 't');
});
afterAll(() => root.dispose());

/** These go on until somebody ends them. */
const GO_ON = new Set(['daemon', 'top', 'events']);
const FOLLOW = new Set(['-f', '--follow']);
/** Their exit code is that of a program. */
const RUNS_PROGRAMS = new Set(['exec', 'enter', 'run', 'console']);

const WORDS = [
  ...[
    '',
    ' ',
    '-',
    '--',
    '.',
    '...',
    'one',
    'two',
    't',
    't@1',
    't@0',
    't@99999999999',
    '@',
    'one@',
  ],
  ...['0', '1', '-1', '99999999999999999999', '1e9', 'NaN', '50%', '0%', '1,2', '1h', '9999999h'],
  ...[
    '__proto__',
    'constructor',
    'a/b',
    '=',
    'a=b',
    'init=',
    'limits.memory=9P',
    'name',
    '%d',
    '%s%n',
  ],
  ...[
    '\x1b[31m',
    '\u202e',
    'line\nline',
    '\t',
    '\ud83d\udca5',
    '$(id)',
    "'",
    '"',
    '*',
    'x'.repeat(300),
  ],
  ...['x'.repeat(5000), '--json', '--help', '--all', '--force', ...FILES],
];

const word = fc.constantFrom(...WORDS);
const OPTIONS = new Map<string, readonly string[]>();
for (const { name } of VERBS) {
  const { options } = await loadCommand(name);
  const flags = options.flatMap(({ short, long }) => [short, long]);
  // Only this root is there to be tried on.
  OPTIONS.set(
    name,
    flags.filter((flag) => flag != null && flag !== '--root' && !FOLLOW.has(flag)) as string[],
  );
}
const verbs = VERBS.map(({ name }) => name).filter((name) => !GO_ON.has(name));
const commandLine = fc.constantFrom(...verbs).chain((verb) => {
  const option = fc.constantFrom('--json', ...(OPTIONS.get(verb) ?? []));
  const further = fc.array(fc.oneof({ weight: 3, arbitrary: word }, option), { maxLength: 5 });
  return further.map((words) => ({ verb, words: [...verb.split(' '), ...words] }));
});

const PATIENCE_MS = 60_000;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly late: boolean;
  readonly stderr: string;
}

function runWords(words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(BYREF, words, { cwd, env: root.env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, PATIENCE_MS);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, late, stderr });
    });
  });
}

const CODES: ReadonlySet<number> = new Set(Object.values(EXIT));
const HARMFUL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/;

function outcomeOf(verb: string, { code, signal, late, stderr }: Ended): Outcome {
  if (late) return 'hang';
  if (signal !== null || code === null) return 'signal';
  if (isStack(stderr) || HARMFUL.test(stderr)) return 'wrong';
  const isProgram = RUNS_PROGRAMS.has(verb);
  if (!CODES.has(code) && !isProgram) return 'wrong';
  if (code === EXIT.ok || code === EXIT.pending) return 'told';
  if (/^byref: .|^\{"error":/m.test(stderr)) return 'told';
  return stderr === '' ? 'silent' : isProgram ? 'told' : 'wrong';
}

const { numRuns, ...how } = propertyRuns(10);
/** A command takes a fraction of it on a quiet machine. */
const TIMEOUT_MS = 180_000 + numRuns * 10_000;

test(
  'random command lines are done, or refused with a sentence, and do no harm',
  async () => {
    const outcomes = new Outcomes();
    let done = 0;
    for (const { verb, words } of fc.sample(commandLine, { numRuns, ...how })) {
      // What there is to work on may have been removed.
      if (++done % 20 === 0) await root.byref('create', 'one', 'two', '--os', 't');
      const ended = await runWords(words);
      outcomes.add(outcomeOf(verb, ended), () => {
        const { code, stderr } = ended;
        return `${JSON.stringify(words)} ended with ${code}\n${stderr.slice(0, 1000)}`;
      });
    }
    if (numRuns >= 1000) console.log(`command lines: ${outcomes.text}`);
    expect(outcomes.bad, outcomes.text).toEqual({});
    expect(statSync(path.join(cwd, 'null')).isCharacterDevice()).toBe(true);
    expect(readFileSync(path.join(root.base, 'precious'), 'utf8')).toBe('precious');
    // Some of them may have been started.
    await root.byref('stop', '--all', '--fast');
    await root.byref('umount', '--all');
    expect((await root.findings()).filter(({ severity }) => severity === 'error')).toEqual([]);
  },
  TIMEOUT_MS,
);
