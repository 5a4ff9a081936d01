/** Passwords that were set where something is captured: they are of that machine, and in a template they would open every env. */

/** What no password opens. */
const LOCKED = new Set(['!', '*', '!*', '!!']);

export interface Passwords {
  /** shadow(5), with the passwords of the base; of an account that it has not, none opens it. */
  readonly shadow: string;
  /** Accounts whose password is another one, or which have one and are new. */
  readonly changed: readonly string[];
}

/** @param now shadow(5), a binary string @param base that of what is below; '' if there is none */
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
