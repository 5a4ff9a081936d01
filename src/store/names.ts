/**
 * Checks the names that people give to templates and envs, and parses references to versions: NAME or
 * NAME@VERSION.
 */
import { ByrefError } from '../base/error.ts';

/** A reference to a template, or to one version of it; `version` null means the current one. */
export interface TemplateRef {
  readonly name: string;
  readonly version: number | null;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$/;
const DIGITS = /^\d+$/;

/** Returns true if the text can be a file name and a label of a host name, and can't be mistaken for an id. */
export const isName = (name: string): boolean => NAME.test(name) && !DIGITS.test(name);

const SCRATCH = /^scratch[.]\d+[.]\d+$/;

/** Returns the name of the n-th scratch env of a process (src/manager/sandbox). */
export const scratchName = (pid: number, n: number): string => `scratch.${pid}.${n}`;

/** Returns true for the name of a scratch env. No env of a user's has such a name. */
export const isScratch = (env: string): boolean => SCRATCH.test(env);

const SNAPSHOT = /^([1-9]\d*)@(.+)$/;

/** Returns the name of the row of a snapshot. It has the env's id in it, so it stays when the env gets another name. */
export const snapshotRow = (env: number, name: string): string => `${env}@${name}`;

/** Takes the name of a snapshot's row apart; null for the name of an env, which has no "@". */
export function snapshotIn(row: string): { readonly env: number; readonly name: string } | null {
  const [, env, name] = SNAPSHOT.exec(row) ?? [];
  return env === undefined || name === undefined ? null : { env: Number(env), name };
}

const OF: Readonly<Record<'template' | 'env' | 'snapshot', string>> = {
  template: 'a template',
  env: 'an env',
  snapshot: 'a snapshot',
};

/**
 * Refuses a text that can't be a name.
 * @throws ByrefError 'usage'
 */
export function checkName(what: keyof typeof OF, name: string): void {
  if (isName(name)) return;
  throw new ByrefError(
    'usage',
    `"${name}" can't be the name of ${OF[what]}`,
    'Use 1 to 63 letters, digits and . _ + -, beginning with a letter or digit, not digits alone.',
  );
}

/** Refuses a name that byref gives to its throw-away envs. @throws ByrefError 'usage' */
export function refuseScratchName(name: string): void {
  if (!isScratch(name)) return;
  const message = `"${name}" is how byref names its throw-away envs`;
  throw new ByrefError('usage', message, 'Choose another name.');
}

/**
 * Parses NAME or NAME@VERSION; does not look whether there is such a template.
 * @throws ByrefError 'usage' for a version that is not a number from 1 up
 */
export function parseTemplateRef(text: string): TemplateRef {
  const at = text.indexOf('@');
  if (at < 0) return { name: text, version: null };
  const version = text.slice(at + 1);
  if (!DIGITS.test(version) || Number(version) === 0) {
    throw new ByrefError(
      'usage',
      `"${text}" names no version`,
      'Write NAME@NUMBER, as in nginx@2.',
    );
  }
  return { name: text.slice(0, at), version: Number(version) };
}
