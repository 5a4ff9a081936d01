/**
 * Removes passwords that were set where something was captured: they belong to that machine, and in a template
 * they would open every env.
 */
import { LOCKED } from '../../merge/accounts.ts';

/** A shadow file without the passwords that were set. */
export interface Passwords {
  /** shadow(5) with the passwords of the base; an account that the base lacks has none that opens it. */
  readonly shadow: string;
  /** Accounts whose password differs from the base, and new ones that have a password. */
  readonly changed: readonly string[];
}

/**
 * Removes the passwords. @param now shadow(5), a binary string @param base that of the templates below; '' if
 * there is none
 */
export function withoutPasswords(now: string, base: string): Passwords {
  const before = new Map(base.split('\n').map((line) => [line.split(':')[0], line]));
  const changed: string[] = [];
  const lines = now.split('\n').map((line) => {
    const [name = '', password, day = '', ...others] = line.split(':');
    if (name === '' || password === undefined) return line;
    const [, had = '!', hadDay = day] = before.get(name)?.split(':') ?? [];
    const isNew = !before.has(name);
    if (isNew ? LOCKED.has(password) : password === had) return line;
    changed.push(name);
    return [name, had, hadDay, ...others].join(':');
  });
  return { shadow: lines.join('\n'), changed };
}
