import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEnv } from '../../src/services/create-env.ts';
import { openStore } from '../../src/store/store.ts';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ENVS = { quick: 50, full: 511 };
/** As many names as a point release of Debian changes in a template with some applications. */
const CHANGED = 4490;
const FILES_PER_DIR = 100;
const ROUNDS = 3;
/** After each command: drivers checkpoint what it changed in envs, seconds later. */
const QUIET_MS = 8_000;
/** Envs of one `byref mount`. */
const BATCH = 50;

/** Files of its own in the directories that are patched, some that the patch changes, and some that it has removed. */
const USE = `
for d in 0 7 19 33 41; do
  for i in 1 2 3 4 5 6 7 8; do echo own >usr/lib/d$d/own-$i; done
  for f in usr/lib/d$d/file-*1; do echo more >>$f; done
  rm -f usr/lib/d$d/file-*7
done
mkdir -p var/log home/user; for i in 1 2 3 4 5 6 7 8 9; do echo $i >var/log/$i; echo $i >home/user/$i; done
`;

/** What a patch takes over envs that have been used, beside envs that never wrote anything. */
export const patchUsed: Study = { name: 'patch-used', run: study };

const COMMANDS = {
  patch: ['patch', '--to', '2'],
  check: ['patch', '--to', '2', '--check', '--summary'],
  rollback: ['rollback', '--to', '1'],
} as const;
type Command = keyof typeof COMMANDS;

/** A template of its own each, for envs that were used in one way: every so many-th of its files is changed by the patch. */
const TEMPLATES = {
  unused: { every: 1, use: '' },
  used: { every: 1, use: USE },
  // As a hardening script does; and the patch is one of a package.
  touched: { every: 100, use: 'chown -R 33:33 usr' },
} as const;
type Template = keyof typeof TEMPLATES;
const NAMES = Object.keys(TEMPLATES) as Template[];

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'patch-used');
  mkdirSync(dir, { recursive: true });
  const envs = stage.quick ? ENVS.quick : ENVS.full;
  const samples = new Map<string, number[]>();
  // On a root of its own each, for a driver serves one kind of use at a time, not three times as many envs.
  for (const template of NAMES) {
    const cli = await byrefCli(join(dir, template));
    stage.cleanup.defer(`close the root of ${template} envs`, () => cli.close());
    await makeEnvs(cli, dir, template, envs);
    const { use } = TEMPLATES[template];
    for (let i = 0; i < envs; i++)
      await run('sh', ['-ec', use], { cwd: cli.mountDir(`${template}-${i}`) });
    await sleep(QUIET_MS);
    for (let round = 0; round < ROUNDS; round++) {
      for (const command of ['check', 'patch', 'rollback'] as const) {
        const key = `${template} ${command}`;
        const ns = await timed(stage, cli, template, command);
        if (command !== 'check') await sleep(QUIET_MS);
        samples.set(key, [...(samples.get(key) ?? []), ns]);
      }
    }
    await cli.close();
  }
  rmSync(dir, { recursive: true, force: true });
  return table(samples, envs);
}

async function makeEnvs(
  cli: ByrefCli,
  dir: string,
  template: Template,
  count: number,
): Promise<void> {
  for (const version of [1, 2]) {
    const tree = join(dir, `tree-${version}`);
    for (let i = 0; i < CHANGED; i++) {
      const parent = join(tree, `usr/lib/d${Math.floor(i / FILES_PER_DIR)}`);
      if (i % FILES_PER_DIR === 0) mkdirSync(parent, { recursive: true });
      const content = i % TEMPLATES[template].every === 0 ? version : 1;
      const file = join(parent, `file-${i}`);
      writeFileSync(file, `${content} ${i}\n`);
      // A file with another time is another file.
      utimesSync(file, content, content);
    }
    await cli.run('template', 'import', template, tree);
    rmSync(tree, { recursive: true });
  }
  const names = Array.from({ length: count }, (_, i) => `${template}-${i}`);
  const store = await openStore(cli.root, { write: true });
  try {
    for (const name of names) await createEnv(store, { name, os: template, apps: [] });
  } finally {
    await store.close();
  }
  for (let i = 0; i < names.length; i += BATCH) {
    await cli.run('mount', ...names.slice(i, i + BATCH));
  }
}

/** Nanoseconds that a byref command takes, its start included. */
function timed(
  stage: StudyStage,
  cli: ByrefCli,
  template: Template,
  command: Command,
): Promise<number> {
  const [verb, ...options] = COMMANDS[command];
  // A check says by its exit code that there is something to do.
  const words = [
    '-c',
    '"$@" >/dev/null; case $? in 0|11) ;; *) exit 1 ;; esac',
    'sh',
    BYREF,
    verb,
    template,
  ];
  return work(stage.worker, '/', ['run', '/bin/sh', ...words, ...options], cli.env);
}

function table(samples: ReadonlyMap<string, number[]>, envs: number): StudyTable {
  const figures: Record<string, number> = {};
  for (const [key, ns] of samples) figures[`${key} ns`] = median(ns);
  const rows = (['patch', 'check', 'rollback'] as const).map((command) => [
    command === 'check' ? 'patch --check --summary' : command,
    ...NAMES.map((template) => formatNs(median(samples.get(`${template} ${command}`)!))),
  ]);
  return {
    name: 'patch-used',
    title: `A patch of ${CHANGED.toLocaleString('en')} names over ${envs} mounted envs, from the command to the last env that sees it`,
    columns: [
      'command',
      'envs that wrote nothing',
      'envs that were used (target: 2 s)',
      `envs with \`chown -R\` over all files, ${Math.ceil(CHANGED / TEMPLATES.touched.every)} of which are patched (target: 2 s)`,
    ],
    rows,
    figures,
  };
}
