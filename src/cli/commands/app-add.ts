import type { Command } from 'commander';
import { addApps } from '../../services/change-apps.ts';
import { runAppChange } from '../app-run.ts';
import { defineWaiting } from '../command.ts';
import { type DependenciesOption, dependenciesOption } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWaitOption } from '../dpkg-wait.ts';

/** Defines the command `byref app add`. */
export default function build(): Command {
  const command = defineWaiting(
    'app add <env> <template...>',
    'Put apps on top of an env’s stack; live, if it is mounted.',
  );
  return dependenciesOption(dpkgWaitOption(command)).action(
    (env: string, apps: string[], options: DpkgWaitOption & DependenciesOption) =>
      runAppChange('app add', options, env, (store, row, how) => addApps(store, row, apps, how)),
  );
}
