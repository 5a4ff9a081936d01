import { join } from 'node:path';
import { BYREF, byrefCli } from '../byref-cli.ts';
import type { StudyTable } from '../results.ts';
import { formatNs, formatRatio, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ROUNDS = { quick: 10, full: 30 };

/** How long commands take to start, against a bare Node. */
export const cliStart: Study = { name: 'cli-start', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const cli = await byrefCli(join(stage.backing.dir, 'cli-start'));
  stage.cleanup.defer('close the cli-start root', () => cli.close());
  const commands: Record<string, readonly string[]> = {
    'node -e 0': [process.execPath, '-e', '0'],
    'byref list': [BYREF, 'list'],
    'byref --version': [BYREF, '--version'],
  };
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= (stage.quick ? ROUNDS.quick : ROUNDS.full); round++) {
    for (const [name, command] of Object.entries(commands)) {
      const ns = await work(stage.worker, '/', ['run', ...command], cli.env);
      if (round > 0) samples.set(name, [...(samples.get(name) ?? []), ns]);
    }
  }
  const base = median(samples.get('node -e 0') ?? []);
  const medians = [...samples].map(([name, all]) => ({ name, ns: median(all) }));
  return {
    name: 'cli-start',
    title: 'Start of a command (target: byref list <= 1.6 x node -e 0)',
    columns: ['command', 'median', 'ratio'],
    rows: medians.map(({ name, ns }) => [name, formatNs(ns), formatRatio(ns / base)]),
    figures: Object.fromEntries(medians.map(({ name, ns }) => [`${name} ns`, ns])),
  };
}
