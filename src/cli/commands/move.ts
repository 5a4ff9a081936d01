import type { Command } from 'commander';
import { quote } from 'shlex';
import { formatSize } from '../../base/size.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { type EnvMoved, moveEnv } from '../../services/move-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { printLines, sayLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { type StopWords, stopOptions, stopTimeout } from '../stop-options.ts';
import { printResult } from '../table.ts';

interface Options extends StopWords {
  readonly rsh?: string;
  readonly remoteByref?: string;
  readonly remoteRoot?: string;
  readonly keep?: boolean;
}

/** Defines the command `byref move`. */
export default function build(): Command {
  const command = defineWaiting(
    'move <env> <host> [name]',
    'Move an env to another machine: it is stopped here, sent with what that machine lacks, started there if it ran, and removed here.',
  )
    .option(
      '--keep',
      'leave it here, as it is: the one there is a copy, with an identity of its own',
    )
    .option('--rsh <command>', 'what runs a command on the host (ssh)')
    .option('--remote-byref <command>', 'the byref of the host (byref)')
    .option('--remote-root <dir>', 'the root there');
  return stopOptions(command).action(
    async (env: string, host: string, name: string | undefined, options: Options) => {
      const context = contextOf(options);
      const { patience } = context;
      const { rsh = 'ssh', remoteByref = 'byref', remoteRoot, keep = false } = options;
      const root = remoteRoot === undefined ? '' : ` --root ${quote(remoteRoot)}`;
      const { signal, release } = interruption();
      const moved = await withStore(interruptible(context, signal), 'write', (store) => {
        const row = needPeoplesEnv(store, env);
        const wanted = {
          ...{ host, name: name ?? row.name, keep, rsh },
          ...{ receiver: `${remoteByref}${root} receive`, stopMs: stopTimeout(options) },
        };
        const note = (text: string): void => printNotes([text]);
        const hear = (line: string): void => {
          if (!context.json) sayLines(`${host}: ${line}`);
        };
        return moveEnv(store, row, wanted, { patience, signal, note, hear });
      }).finally(release);
      if (context.json) printResult('move', moved);
      else printLines(text(moved));
    },
  );
}

function text({ name, host, there, moved, bytes, versions }: EnvMoved): string {
  const how = moved ? 'moved to' : 'copied to';
  const as = there.name === name ? '' : ` as ${there.name}`;
  const runs = there.pid === null ? '' : `, where it runs (pid ${there.pid})`;
  const withVersions = versions.length === 0 ? '' : `, with ${versions.join(', ')}`;
  return `${name}: ${how} ${host}${as}${runs}; ${formatSize(bytes)} sent${withVersions}`;
}
