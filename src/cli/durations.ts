import { Option } from 'commander';
import { ByrefError } from '../base/error.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The longest time that a timer takes (a signed number of 32 bits), in ms. */
const DURATION_MAX = 2 ** 31 - 1;

/** Makes an option that takes a time; its help shows the default the way people write it. */
export const durationOption = (flags: string, what: string, standardMs: number): Option =>
  new Option(flags, `${what}: 500ms, 30s, 2m, 1h`)
    .argParser(parseDuration)
    .default(standardMs, durationText(standardMs));

/** Writes a time in the largest unit that leaves a whole number. */
function durationText(ms: number): string {
  if (ms === 0) return '0s';
  const units = Object.entries(UNITS).reverse();
  const [unit, size] = units.find(([, length]) => ms % length === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** Parses "30s", "500ms", "2m" or "1h" to milliseconds; a bare number is seconds. @throws ByrefError 'usage' */
export function parseDuration(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:[.]\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = number === undefined ? Number.NaN : Math.round(Number(number) * (UNITS[unit] ?? 0));
  if (ms <= DURATION_MAX) return ms;
  if (number !== undefined)
    throw new ByrefError('usage', `"${text}" is longer than 24 days`, 'Give a shorter time.');
  throw new ByrefError('usage', `"${text}" is no time`, 'Write 30s, 500ms, 2m or 1h.');
}
