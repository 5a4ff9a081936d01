import { ByrefError } from '../../base/error.ts';
import type { EnvSettings } from '../../codec/env-settings.ts';

/** One key of an env's settings: how its value is read and written. */
export interface Key {
  readonly name: string;
  readonly summary: string;
  /** Returns the settings with the value. '' takes it back. @throws ByrefError 'usage' */
  set(settings: EnvSettings, value: string): EnvSettings;
  /** Returns the value as set() takes it; '' if it is not set. */
  get(settings: EnvSettings): string;
}

/** Returns the error about a value that a key can't have. */
export const bad = (name: string, value: string, hint: string): ByrefError =>
  new ByrefError('usage', `${name} can't be "${value}"`, hint);
