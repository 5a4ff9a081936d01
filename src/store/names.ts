/** Names that people give to templates and envs, and references to versions: NAME or NAME@VERSION. */
import { ByrefError } from '../base/error.ts';

/** A template, or one version of it; `version` null is the current one. */
export interface TemplateRef {
  readonly name: string;
  readonly version: number | null;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$/;
const DIGITS = /^\d+$/;

/** True if it can be a file name, a host name's label, and no id. */
export const isName = (name: string): boolean => NAME.test(name) && !DIGITS.test(name);

const SCRATCH = /^scratch[.]\d+[.]\d+$/;

/** The name of the n-th throw-away env of a process: see src/manager/sandbox. */
export const scratchName = (pid: number, n: number): string => `scratch.${pid}.${n}`;

/** True for the name of a throw-away env; people's envs have none like it. */
export const isScratch = (env: string): boolean => SCRATCH.test(env);

/** @throws ByrefError 'usage' unless it is a name */
export function checkName(what: 'template' | 'env', name: string): void {
  if (isName(name)) return;
  throw new ByrefError(
    'usage',
    `"${name}" can't be the name of ${what === 'env' ? 'an env' : 'a template'}`,
    'Use 1 to 63 letters, digits and . _ + -, beginning with a letter or digit, not digits alone.',
  );
}

/** @throws ByrefError 'usage' for a version that is no number */
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
