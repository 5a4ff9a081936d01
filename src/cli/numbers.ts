import { ByrefError } from '../base/error.ts';

/** Parses a whole number above 0, for commander. @throws ByrefError 'usage' */
export function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new ByrefError('usage', `"${text}" is no count`, 'Give a whole number above 0.');
}

/** Returns "1 object", or "N objects". */
export const objectsText = (count: number): string =>
  `${count} ${count === 1 ? 'object' : 'objects'}`;
