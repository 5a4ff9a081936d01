import type { Command } from 'commander';
import { removeApps } from '../../services/change-apps.ts';
import { runAppChange } from '../app-run.ts';
import { defineWaiting } from '../command.ts';
import { type DependenciesOption, dependenciesOption } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWaitOption } from '../dpkg-wait.ts';

/** Defines the command `byref app remove`. */
export default function build(): Command {
  const command = defineWaiting(
    'app remove <env> <app...>',
    'Take apps out of an env’s stack; what the env made itself stays.',
  );
  return dependenciesOption(dpkgWaitOption(command)).action(
    (env: string, apps: string[], options: DpkgWaitOption & DependenciesOption) =>
      runAppChange('app remove', options, env, (store, row, how) =>
        removeApps(store, row, apps, how),
      ),
  );
}
