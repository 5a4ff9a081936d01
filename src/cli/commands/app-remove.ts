import type { Command } from 'commander';
import { removeApps } from '../../patch/apps.ts';
import { runAppChange } from '../app-run.ts';
import { defineWaiting } from '../command.ts';

export default function build(): Command {
  return defineWaiting(
    'app remove <env> <app...>',
    'Take apps out of an env’s stack; what the env made itself stays.',
  ).action((env: string, apps: string[], options: object) =>
    runAppChange(options, env, (store, row, signal) => removeApps(store, row, apps, signal)),
  );
}
