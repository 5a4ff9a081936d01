import { ByrefError } from '../base/error.ts';
import type { WaveSize } from '../manager/rollout/rollout.ts';

/** Parses "10%" or "3". @throws ByrefError 'usage' */
function parseSize(text: string): WaveSize {
  const [, number, percent] = /^(\d+)(%?)$/.exec(text) ?? [];
  const value = Number(number);
  const fits = number !== undefined && value > 0 && (percent === '' || value <= 100);
  if (fits) return percent === '%' ? { percent: value } : { count: value };
  throw new ByrefError(
    'usage',
    `"${text}" is no part of the envs`,
    'Write a number, as 3, or a part, as 10%.',
  );
}

/** Parses the value of --canary: names of envs, or one percentage. */
export function parseCanary(words: readonly string[]): WaveSize {
  const [first = ''] = words;
  return words.length === 1 && first.endsWith('%') ? parseSize(first) : { envs: words };
}

/**
 * Parses the value of --stages, such as "1,10%,100%". A last stage of 100% is left out, since the patch itself
 * reaches all.
 */
export function parseStages(text: string): WaveSize[] {
  const sizes = text.split(',').map((part) => parseSize(part.trim()));
  const last = sizes.at(-1);
  if (last !== undefined && 'percent' in last && last.percent === 100) sizes.pop();
  return sizes;
}
