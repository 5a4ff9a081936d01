import type { Command } from 'commander';
import { addApps } from '../../patch/apps.ts';
import { runAppChange } from '../app-run.ts';
import { defineWaiting } from '../command.ts';

export default function build(): Command {
  return defineWaiting(
    'app add <env> <template...>',
    'Put apps on top of an env’s stack; live, if it is mounted.',
  ).action((env: string, apps: string[], options: object) =>
    runAppChange(options, env, (store, row, signal) => addApps(store, row, apps, signal)),
  );
}
