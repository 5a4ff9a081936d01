import { constants } from 'node:os';
import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { killEnv } from '../../services/kill-env.ts';
import { contextOf, define } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref kill`. */
export default function build(): Command {
  return define('kill <env...>', 'Send a signal to the first process of envs.')
    .option('-s, --signal <signal>', 'a name or a number (KILL)', parseSignal)
    .action(async (names: string[], options: { signal?: number }) => {
      const context = contextOf(options);
      const { signal = constants.signals.SIGKILL } = options;
      const killed = await withStore(context, 'read', (store) =>
        forEachEnv(
          context,
          chooseEnvs(context, store, names, false),
          (row) => Promise.resolve(killEnv(store, row, signal)),
          ({ name, pid }) => [`${name}: signal ${signal} sent to process ${pid}`],
        ),
      );
      if (context.json) printResult('kill', killed);
    });
}

const SIGNAL_MAX = 64;

/** Parses HUP, SIGHUP or 1. @throws ByrefError 'usage' */
function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^(?:SIG)?/, 'SIG');
  const number = Object.entries(constants.signals).find(([known]) => known === name)?.[1];
  const given = number ?? (/^\d+$/.test(text) ? Number(text) : 0);
  if (given >= 1 && given <= SIGNAL_MAX) return given;
  throw new ByrefError('usage', `"${text}" is no signal`, 'Name one, as HUP, or give its number.');
}
