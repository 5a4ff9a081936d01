import { ByrefError } from '../base/error.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "30s", "500ms", "2m", "1h"; a bare number is seconds. Milliseconds, for commander. */
export function parseDuration(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:[.]\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (number !== undefined) return Math.round(Number(number) * (UNITS[unit] ?? 0));
  throw new ByrefError('usage', `"${text}" is no time`, 'write 30s, 500ms, 2m or 1h');
}
