import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { consoleLog } from '../../manager/envs/runtime/launch.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { contextOf, define } from '../command.ts';
import { passSignals } from '../exec-run.ts';
import { parseCount } from '../numbers.ts';
import { setExitCode } from '../output.ts';
import { withStore } from '../session.ts';

/** Defines the command `byref logs`. */
export default function build(): Command {
  return define('logs <env>', 'Print what the first process of an env has said.')
    .option('-f, --follow', 'go on, as more comes')
    .option('-n, --tail <lines>', 'the last lines only', parseCount)
    .action(async (name: string, { follow, tail, ...options }: Options) => {
      const context = contextOf(options);
      const row = await withStore(context, 'read', (store) => needPeoplesEnv(store, name));
      const log = consoleLog(context.root, row.id);
      // A log that was full goes on in a new file.
      const files = [`${log}.1`, log].filter((file) => existsSync(file));
      if (files.length === 0 && !follow) return;
      const wanted = tail === undefined ? '+1' : String(tail);
      const words = follow
        ? ['-n', wanted, '-F', log]
        : ['-q', '-n', wanted, ...(tail === undefined ? files : files.slice(-1))];
      setExitCode(await runTail(words));
    });
}

interface Options {
  readonly follow?: boolean;
  readonly tail?: number;
}

/** Runs tail(1). That a file is not there yet, or is a new one, is nothing to tell people. */
async function runTail(words: readonly string[]): Promise<number> {
  const child = spawn('tail', words, { stdio: ['ignore', 'inherit', 'ignore'] });
  const release = passSignals(child);
  return new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => resolve(status ?? 0));
  }).finally(release);
}
