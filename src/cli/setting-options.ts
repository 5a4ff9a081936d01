/** Options that set something for an env: the words of vzctl and Docker, and profiles. */
import type { Command } from 'commander';
import { settingWords } from '../manager/envs/settings.ts';

/** Adds the options to a command. */
export function settingOptions(command: Command): Command {
  command.option('--config <profile>', 'a profile of settings: byref profile list');
  for (const [word, means] of settingWords()) command.option(`--${word} <value>`, means);
  return command;
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
