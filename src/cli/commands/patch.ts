import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { EXIT } from '../../base/exit-codes.ts';
import type { Policy, PolicyAction } from '../../codec/patch-record.ts';
import type { HealthCheck } from '../../manager/rollout/health.ts';
import { takePackage } from '../../manager/rollout/package-policy.ts';
import { checkPolicy } from '../../manager/rollout/policy.ts';
import type { Rollout, RolloutEvent } from '../../manager/rollout/rollout.ts';
import { checkPatch, type UpToDate, upToDate } from '../../services/check-patch.ts';
import { patchTemplate } from '../../services/patch-template.ts';
import type { Store } from '../../store/store.ts';
import { type Context, contextOf, defineWaiting } from '../command.ts';
import { type DependenciesOption, dependenciesOption, policiesOf } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWait, dpkgWaitOption, exitFor } from '../dpkg-wait.ts';
import { durationOption, parseDuration } from '../durations.ts';
import { interruption } from '../interruption.ts';
import { parseCount } from '../numbers.ts';
import { setExitCode } from '../output.ts';
import { describePatch, envsText } from '../patch-text.ts';
import { printPlan } from '../plan-text.ts';
import { printLines, sayLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';
import { parseCanary, parseStages } from '../waves.ts';

interface Options extends DpkgWaitOption, DependenciesOption {
  readonly to?: number;
  readonly check?: boolean;
  readonly summary?: boolean;
  readonly canary?: string[];
  readonly stages?: string;
  readonly wait?: number;
  readonly pause?: number;
  readonly health?: string;
  readonly healthOn: string;
  readonly healthTimeout: number;
  readonly healthRetries: number;
  readonly healthInterval: number;
  readonly note: string;
}

const HEALTH_TIMEOUT_MS = 30_000;
const HEALTH_RETRIES = 2;
const HEALTH_INTERVAL_MS = 1_000;

/** Defines the command `byref patch`. */
export default function build(): Command {
  // In the order of the command line: of several policies that match, the last one counts.
  const policies: Policy[] = [];
  const collect = (action: PolicyAction) => (pattern: string) => {
    policies.push(checkPolicy({ pattern, action }));
    return pattern;
  };
  const command = defineWaiting(
    'patch <template>',
    'Take all envs that follow a template to another version of it.',
  );
  return dependenciesOption(dpkgWaitOption(command))
    .option('--to <version>', 'the version (the newest staged one)', parseCount)
    .option(
      '--check',
      'say what it would do and meet, and change nothing; exit code 11 if there is something to do',
    )
    .option('--summary', 'with --check: counts instead of names, and envs alike in one line')
    .option('--keep <pattern>', 'paths where an env’s own file stays (all)', collect('keep'))
    .option('--take <pattern>', 'paths where it is set aside', collect('take'))
    .option(
      '--take-package <name>',
      'a package that follows the template, also where an env has it otherwise; its files there are set aside',
      (name: string) => {
        policies.push(takePackage(name));
        return name;
      },
    )
    .option(
      '--merge <pattern>',
      'paths where it is merged with the change; on a conflict it stays',
      collect('merge'),
    )
    .option(
      '--canary <env...>',
      'these envs first, or a part of them as 10%; without --health, only these',
    )
    .option('--stages <sizes>', 'in waves, as 1,10%,100%')
    .option('--pause <time>', 'after each wave: 500ms, 30s, 2m, 1h', parseDuration)
    .option(
      '--health <command>',
      'decides after each wave: 0 goes on, anything else takes all back',
    )
    .option(
      '--health-on <place>',
      'run it in each env, or on the host with its name in BYREF_ENV',
      'env',
    )
    .addOption(durationOption('--health-timeout <time>', 'of one try', HEALTH_TIMEOUT_MS))
    .option('--health-retries <n>', 'tries after the first one', Number, HEALTH_RETRIES)
    .addOption(durationOption('--health-interval <time>', 'between two tries', HEALTH_INTERVAL_MS))
    .option('--note <text>', 'what to remember of it', '')
    .action(async (name: string, options: Options) => {
      const context = contextOf(options);
      const rollout = rolloutOf(options);
      policies.push(...policiesOf(options));
      if (options.check) {
        await withStore(context, 'read', (store) => check(context, store, name, options, policies));
        return;
      }
      await withStore(context, 'write', async (store) => {
        const { to = null, note } = options;
        const wanted = { to, policies, note, rollout, ...dpkgWait(context, options) };
        // Interrupted in a wait, it takes the waves back; if it is killed, the next command does.
        const { signal } = interruption(() => sayLines('byref: interrupted, taking it back'));
        const on = eventPrinter(context);
        const record = await patchTemplate(store, name, wanted, { on, signal });
        if (context.json) printResult('patch', record);
        else if (record === null) printLines(nothingToDo(upToDate(store, name)));
        else printLines(...describePatch(record));
        if (record?.state === 'undone') setExitCode(EXIT.unhealthy);
        else exitFor(record);
      });
    });
}

async function check(
  context: Context,
  store: Store,
  name: string,
  { to, summary = false }: Options,
  policies: readonly Policy[],
): Promise<void> {
  const plan = await checkPatch(store, name, to ?? null, policies);
  if (context.json) printResult('patch --check', plan);
  else if (plan === null) printLines(nothingToDo(upToDate(store, name)));
  else printPlan(plan, summary);
  if (plan !== null) setExitCode(EXIT.pending);
}

function nothingToDo({ template, current, rolledBack }: UpToDate): string {
  const again =
    rolledBack === null
      ? ''
      : `; ${rolledBack} was rolled back, and is taken again by: byref patch ${template} --to ${rolledBack}`;
  return `${template}: nothing to do: ${current} is current, and nothing newer is staged${again}`;
}

function rolloutOf(options: Options): Rollout {
  const { canary, stages, wait, pause, health } = options;
  if (canary !== undefined && stages !== undefined) {
    throw new ByrefError('usage', '--canary and --stages exclude each other', 'Use one of them.');
  }
  if (health !== undefined && canary === undefined && stages === undefined) {
    const hint = 'Add --canary or --stages: they say which envs it is tried in first.';
    throw new ByrefError('usage', '--health needs envs to try the version in', hint);
  }
  if (wait !== undefined && pause === undefined && (canary ?? stages) !== undefined) {
    const message =
      '--wait is how long to wait for other commands, and not what comes after a wave';
    throw new ByrefError('usage', message, `That is --pause; without a pause: add --pause 0.`);
  }
  const waves =
    canary !== undefined ? [parseCanary(canary)] : stages === undefined ? [] : parseStages(stages);
  const afterwards = canary !== undefined && health === undefined ? 'hold' : 'all';
  return { waves, afterwards, waitMs: pause ?? 0, health: healthOf(options) };
}

function healthOf(options: Options): HealthCheck | null {
  const { health, healthOn: on } = options;
  if (on !== 'env' && on !== 'host') {
    throw new ByrefError('usage', `no such place: ${on}`, 'Use --health-on env or host.');
  }
  if (health === undefined) return null;
  const { healthTimeout, healthRetries, healthInterval } = options;
  if (!Number.isSafeInteger(healthRetries) || healthRetries < 0) {
    throw new ByrefError('usage', '--health-retries is no count', 'Give a whole number.');
  }
  return {
    command: health,
    on,
    timeoutMs: healthTimeout,
    retries: healthRetries,
    intervalMs: healthInterval,
  };
}

/** Prints events on stderr as they happen: a rollout may take long. */
function eventPrinter({ json }: Context): (event: RolloutEvent) => void {
  if (json) return () => undefined;
  return (event) => sayLines(eventText(event));
}

function eventText(event: RolloutEvent): string {
  switch (event.what) {
    case 'note':
      return event.text;
    case 'wave':
      return `${event.of} ${event.of === 1 ? 'env tries' : 'envs try'} it: ${event.envs.length > 8 ? `${event.envs.length} more` : event.envs.join(', ')}`;
    case 'waiting':
      return `waiting ${event.ms / 1000} s`;
    case 'healthy':
      return `healthy in ${envsText(event.results.length)}`;
    case 'unhealthy':
      return `unhealthy in ${event.result.env}: ${event.result.how}; taking it back`;
  }
}
