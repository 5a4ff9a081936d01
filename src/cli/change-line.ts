import type { EnvChange } from '../manager/envs/diff.ts';

/** Describes one path that an env changed. */
export const changeLine = ({ kind, path, attributes }: EnvChange): string =>
  attributes === null
    ? `${kind} ${path}`
    : `${kind} ${path} (attributes only: ${attributes.join(', ')})`;
