import { type Command, Option } from 'commander';
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
  readonly warm?: boolean;
  readonly live?: boolean;
  readonly resume?: boolean;
}

/** ssh, which notices when the other machine is out of reach. */
const RSH = 'ssh -o ServerAliveInterval=15';

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
    .addOption(
      new Option(
        '--warm',
        'send most of it while it runs, in rounds, so that it stands still only for the last one',
      ).conflicts('keep'),
    )
    .addOption(
      new Option(
        '--live',
        'do not stop it: its programs stand still for a moment, and go on there, with their connections',
      ).conflicts(['keep', 'warm']),
    )
    .addOption(
      new Option('--resume', 'go on with a move that was interrupted, as it was').conflicts([
        'keep',
        'warm',
        'live',
      ]),
    )
    .option('--rsh <command>', `what runs a command on the host (${RSH})`)
    .option('--remote-byref <command>', 'the byref of the host (byref)')
    .option('--remote-root <dir>', 'the root there');
  return stopOptions(command).action(
    async (env: string, host: string, name: string | undefined, options: Options) => {
      const context = contextOf(options);
      const { patience } = context;
      const { rsh = RSH, remoteByref = 'byref', remoteRoot } = options;
      const { keep = false, warm = false, live = false, resume = false } = options;
      const root = remoteRoot === undefined ? '' : ` --root ${quote(remoteRoot)}`;
      const { signal, release } = interruption();
      const moved = await withStore(interruptible(context, signal), 'write', (store) => {
        const row = needPeoplesEnv(store, env);
        const wanted = {
          ...{ host, name: name ?? row.name, keep, warm, live, resume, rsh },
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

function text({ name, host, there, moved, bytes, versions, rounds, pauseMs }: EnvMoved): string {
  const how = moved ? 'moved to' : 'copied to';
  const as = there.name === name ? '' : ` as ${there.name}`;
  const runs = there.pid === null ? '' : `, where it runs (pid ${there.pid})`;
  const withVersions = versions.length === 0 ? '' : `, with ${versions.join(', ')}`;
  const inRounds = rounds > 1 ? ` in ${rounds} rounds` : '';
  const pause = pauseMs === null ? '' : `; it stood still for ${pauseMs} ms`;
  return `${name}: ${how} ${host}${as}${runs}; ${formatSize(bytes)} sent${inRounds}${withVersions}${pause}`;
}
