/** Each kind of damage to what all envs share: found as what it is, and repaired or not as promised. */
import { describe, test } from 'vitest';
import { type Damage, expectFound } from '../support/damage/damage.ts';
import { useHealthyRoot } from '../support/damage/healthy-root.ts';
import { catalogDamages } from './damages/catalog.ts';
import { accountDamages, compositionDamages } from './damages/compositions.ts';
import { dictionaryDamages } from './damages/dictionary.ts';
import { envDamages } from './damages/envs.ts';
import { changeDamages, inodeDamages } from './damages/indexes.ts';
import { linkDamages } from './damages/links.ts';
import { objectDamages } from './damages/objects.ts';
import { counterDamages, patchDamages } from './damages/records.ts';
import { rootDamages } from './damages/root.ts';

useHealthyRoot();

const DAMAGES: Readonly<Record<string, readonly Damage[]>> = {
  'the root': rootDamages,
  templates: catalogDamages,
  compositions: compositionDamages,
  accounts: accountDamages,
  'the dictionary of directories': dictionaryDamages,
  'link rows': linkDamages,
  'the index of inodes': inodeDamages,
  'the index of changes': changeDamages,
  objects: objectDamages,
  envs: envDamages,
  patches: patchDamages,
  counters: counterDamages,
};

describe.each(Object.entries(DAMAGES))('%s:', (_, damages) => {
  test.each(damages.map((damage) => [damage.of, damage] as const))('%s', (_of, damage) =>
    expectFound(damage),
  );
});
