import type { Needs } from '../manager/recipes/build/needs.ts';

/** Writes what envs need as one line: "devices /dev/fuse; ports 80, 443". */
export const needsText = (needs: Needs): string =>
  Object.entries(needs)
    .map(([field, value]: [string, string | readonly string[]]) => {
      const text = typeof value === 'string' ? value : value.join(', ');
      return `${field} ${text}`;
    })
    .join('; ');
