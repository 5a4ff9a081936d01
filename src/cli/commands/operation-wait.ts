import type { Command } from 'commander';
import { DaemonClient } from '../../api/client.ts';
import { EXIT } from '../../base/exit-codes.ts';
import { contextOf, define } from '../command.ts';
import { parseCount } from '../numbers.ts';
import { setExitCode } from '../output.ts';
import { printResult } from '../table.ts';
import { followOperation } from '../through-daemon.ts';

/** How long one request waits; another one follows. */
const WAIT_SECONDS = 60;

/** Defines the command `byref operation wait`. */
export default function build(): Command {
  return define(
    'operation wait <id>',
    'Wait for the end of an operation: print what it prints, and exit as it does.',
  ).action(async (text: string, options: object) => {
    const { root, json } = contextOf(options);
    const id = parseCount(text);
    const daemon = await DaemonClient.need(root);
    let operation = await daemon.operation(id);
    if (!json) {
      setExitCode(await followOperation(daemon, id));
      return;
    }
    while (operation.state === 'running') operation = await daemon.operation(id, WAIT_SECONDS);
    printResult('operation wait', operation);
    setExitCode(operation.exitCode ?? EXIT.error);
  });
}
