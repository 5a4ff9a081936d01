import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import type { EnvSummary } from '../../manager/envs/summary.ts';
import { createEnv } from '../../services/create-env.ts';
import type { EnvWanted } from '../../services/env-config.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { expandNames, hasNumber, withNumber } from '../env-names.ts';
import { type FirstMountOptions, firstMountOf, firstMountOptions } from '../first-mount-options.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { parseCount } from '../numbers.ts';
import { printLines } from '../print.ts';
import { Progress } from '../progress.ts';
import { append } from '../repeated.ts';
import { interruptible, withStore } from '../session.ts';
import {
  type PlaceOptions,
  placeOptions,
  placesGiven,
  settingOptions,
  settingsGiven,
} from '../setting-options.ts';
import { printResult } from '../table.ts';

interface Options extends FirstMountOptions, PlaceOptions {
  readonly os?: string;
  readonly app?: readonly string[];
  readonly fromConfig?: string;
  readonly count?: number;
  readonly set?: readonly string[];
  readonly privileged?: boolean;
}

/** Defines the command `byref create`. */
export default function build(): Command {
  const command = defineWaiting(
    'create [env...]',
    'Make envs from one OS template and any app templates.',
  )
    .option('--os <template>', 'NAME (follows its current version) or NAME@VERSION (pinned)')
    .option<readonly string[]>(
      '--app <template>',
      'an app template on top; may be repeated',
      append,
    )
    .option(
      '--from-config <file>',
      'what an env’s file says, as byref info --config writes it; other options count more',
    )
    .option(
      '--count <n>',
      'so many of each: web makes web1, web2, ...; web-%02d web-01, web-02, ...',
      parseCount,
    )
    .option<readonly string[]>('--set <key=value>', 'as byref set; may be repeated', append)
    .option(
      '--privileged',
      'when it runs, its root user is the machine’s, and nothing is kept from it',
    );
  return firstMountOptions(placeOptions(settingOptions(command))).action(
    async (given: string[], options: Options) => {
      const context = contextOf(options);
      const { count = null } = options;
      const { names, os, apps, settings, volumes, refusedNeeds } = await wantedOf(given, options);
      const told = firstMountOf(options);
      const { signal, release } = interruption();
      // In a pipe there is no progress, only notes.
      const progress = new Progress({ json: context.json, lines: false });
      await withStore(interruptible(context, signal), 'write', async (store) => {
        const envs = expandNames(names, count, (name) => store.refuseEnvName(name));
        refuseOneHostname(options, envs.length);
        const made: EnvSummary[] = [];
        for (const { name, number } of envs) {
          const { hostname } = told;
          const firstMount =
            hostname === null || number === null
              ? told
              : { ...told, hostname: withNumber(hostname, number) };
          const { summary, notes } = await createEnv(
            store,
            { name, os, apps, firstMount, settings, volumes, refusedNeeds },
            { signal, progress: progress.update },
          );
          progress.end();
          printNotes(notes);
          made.push(summary);
          if (!context.json) printLines(`created ${summary.name} (id ${summary.id})`);
        }
        if (context.json)
          printResult('create', names.length === 1 && count === null ? made[0]! : made);
      }).finally(() => {
        release();
        progress.end();
      });
    },
  );
}

/** What is to be made: what an env's file says, and the command line. */
interface Wanted {
  readonly names: readonly string[];
  readonly os: string;
  readonly apps: readonly string[];
  readonly settings: readonly string[];
  readonly volumes: readonly string[];
  readonly refusedNeeds: readonly string[] | null;
}

async function wantedOf(given: readonly string[], options: Options): Promise<Wanted> {
  const { fromConfig, app, set = [], privileged = false } = options;
  const file = fromConfig === undefined ? null : await fileOf(fromConfig);
  const os = options.os ?? file?.os ?? null;
  const names = given.length > 0 || !file?.name ? given : [file.name];
  if (names.length === 0)
    throw new ByrefError('usage', 'no env named', 'Name one: byref create ENV.');
  if (os === null)
    throw new ByrefError(
      'usage',
      'no OS template named',
      'Say --os NAME; see: byref template list',
    );
  const settings = [
    ...(file?.settings ?? []),
    ...(await settingsGiven(options)),
    ...placesGiven(options),
    ...set,
    ...(privileged ? ['privileged=true'] : []),
  ];
  const { refuseNeeds = false, refuse } = options;
  const refusedNeeds = refuseNeeds ? null : (refuse ?? (file === null ? [] : file.refusedNeeds));
  const volumes = options.volume ?? file?.volumes ?? [];
  return { names, os, apps: app ?? file?.apps ?? [], settings, volumes, refusedNeeds };
}

async function fileOf(file: string): Promise<EnvWanted> {
  const { readEnvConfig } = await import('../../services/env-config.ts');
  return readEnvConfig(file);
}

function refuseOneHostname({ hostname, count }: Options, envs: number): void {
  if (hostname === undefined || envs === 1) return;
  if (count !== undefined && hasNumber(hostname) && envs === count) return;
  const message = `${envs} envs can't have one host name`;
  throw new ByrefError('usage', message, 'Leave it out: then each has its own name; or use %d.');
}
