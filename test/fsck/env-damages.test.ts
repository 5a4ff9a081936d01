/** Each kind of damage to what an env has of its own: found as what it is, and repaired or not as promised. */
import { describe, test } from 'vitest';
import { expectFound } from '../support/damage/damage.ts';
import { useHealthyRoot } from '../support/damage/healthy-root.ts';
import { fileDamages } from './damages/delta-files.ts';
import { nameDamages } from './damages/delta-names.ts';
import { tableDamages } from './damages/delta-tables.ts';

useHealthyRoot();

const DAMAGES = {
  'link table and journal': tableDamages,
  'names and inodes': nameDamages,
  'private files and objects': fileDamages,
};

describe.each(Object.entries(DAMAGES))('%s:', (_, damages) => {
  test.each(damages.map((damage) => [damage.of, damage] as const))('%s', (_of, damage) =>
    expectFound(damage),
  );
});
