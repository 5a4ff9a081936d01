/**
 * Checks of values that another process sent. A check returns what is wrong, as the end of a sentence ("env is no whole number from
 * 1 on"), or null.
 */

/** @param at the name of the value, for the sentence */
export type Check = (value: unknown, at: string) => string | null;

const passes = (what: string, isGood: (value: unknown) => boolean): Check => {
  return (value, at) => (isGood(value) ? null : `${at} is no ${what}`);
};

/** A whole number between two, these included. */
export const numberFrom = (least: number, most = Number.MAX_SAFE_INTEGER): Check =>
  passes(
    `whole number from ${least} to ${most}`,
    (value) =>
      Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
  );

/** true or false. */
export const yesOrNo: Check = passes('true or false', (value) => typeof value === 'boolean');

/** Nothing: the verb takes no arguments. */
export const nothing: Check = passes('null', (value) => value === null || value === undefined);

/** A text of so many characters at most, without NUL. */
export const textUpTo = (most: number, form = /^/): Check =>
  passes(
    `text of at most ${most} characters of its form`,
    (value) =>
      typeof value === 'string' &&
      value.length <= most &&
      !value.includes('\0') &&
      form.test(value),
  );

/** One of a few values. */
export const oneOf = (...values: readonly unknown[]): Check =>
  passes(`value of ${values.join(', ')}`, (value) => values.includes(value));

/** null, or what another check takes. */
export const nullOr =
  (check: Check): Check =>
  (value, at) =>
    value === null ? null : check(value, at);

/** A list, each item as another check takes it. */
export const listOf =
  (check: Check): Check =>
  (value, at) => {
    if (!Array.isArray(value)) return `${at} is no list`;
    for (let i = 0; i < value.length; i++) {
      const wrong = check(value[i], `${at}[${i}]`);
      if (wrong !== null) return wrong;
    }
    return null;
  };

/** An object with these fields; further ones are passed over. */
export const fieldsOf =
  <T>(checks: Readonly<Record<keyof T & string, Check>>): Check =>
  (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return `${at} is no object`;
    for (const [name, check] of Object.entries<Check>(checks)) {
      const own = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
      const wrong = check(own, `${at}.${name}`);
      if (wrong !== null) return wrong;
    }
    return null;
  };

/** Whichever of several checks takes the value; the last one says what is wrong. */
export const eitherOf =
  (...checks: readonly Check[]): Check =>
  (value, at) => {
    let wrong: string | null = null;
    for (const check of checks) {
      wrong = check(value, at);
      if (wrong === null) return null;
    }
    return wrong;
  };
