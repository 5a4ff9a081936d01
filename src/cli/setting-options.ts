/** Options that set something for an env: the words of vzctl and Docker, and profiles. */
import type { Command } from 'commander';
import { settingWords } from '../manager/envs/settings.ts';
import { append } from './repeated.ts';

/** Adds the options to a command. */
export function settingOptions(command: Command): Command {
  command.option('--config <profile>', 'a profile of settings: byref profile list');
  for (const [word, means] of settingWords()) command.option(`--${word} <value>`, means);
  return command;
}

/** Adds the options of a new env that may be repeated. */
export const placeOptions = (command: Command): Command =>
  command
    .option<readonly string[]>(
      '--volume <path[:size]>',
      'a directory of the disk’s own speed, kept; with a size, no more than that; may be repeated',
      append,
    )
    .option<readonly string[]>(
      '--bind <host:path[:ro]>',
      'a file or directory of the machine; may be repeated',
      append,
    )
    .option<readonly string[]>(
      '--tmpfs <path[:size]>',
      'an empty directory in memory; may be repeated',
      append,
    )
    .option<readonly string[]>(
      '--device <path[:access]>',
      'a device of the machine, as /dev/fuse or /dev/loop0:r; may be repeated',
      append,
    )
    .option('--refuse-needs', 'nothing of what its templates say it needs')
    .option<readonly string[]>(
      '--refuse <need>',
      'not this of it: a field, as devices, or one item, as NET_ADMIN; may be repeated',
      append,
    )
    .option<readonly string[]>(
      '--cap-add <capability>',
      'what its root may do beyond the standard, as NET_ADMIN; may be repeated',
      append,
    );

/** What placeOptions() adds, as commander parses it. */
export interface PlaceOptions {
  readonly volume?: readonly string[];
  readonly bind?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly device?: readonly string[];
  readonly capAdd?: readonly string[];
  readonly refuseNeeds?: boolean;
  readonly refuse?: readonly string[];
}

/** Returns what they say as KEY=VALUE, but for volumes. */
export function placesGiven({ bind, tmpfs, device, capAdd }: PlaceOptions): string[] {
  const lists = { binds: bind, tmpfs, devices: device, capabilities: capAdd };
  return Object.entries(lists).flatMap(([key, list]) => (list ? [`${key}=${list.join(',')}`] : []));
}

/** Returns what the options say as KEY=VALUE: the profile first, so that the others count more. @throws ByrefError 'notFound' */
export async function settingsGiven(options: object): Promise<string[]> {
  const given = options as Readonly<Record<string, string | undefined>>;
  const words = settingWords().flatMap(([word]) => {
    const value = given[camelCase(word)];
    return value === undefined ? [] : [`${word}=${value}`];
  });
  return [...(await profileGiven(given['config'])), ...words];
}

async function profileGiven(name: string | undefined): Promise<string[]> {
  if (name === undefined) return [];
  // Most commands need no YAML.
  const { profileSettings } = await import('../services/profiles.ts');
  return profileSettings(name);
}

/** Returns the name under which commander keeps an option. */
const camelCase = (word: string): string =>
  word.replaceAll(/-(\w)/g, (_all, letter: string) => letter.toUpperCase());
