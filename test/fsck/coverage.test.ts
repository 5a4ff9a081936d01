import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CHECKS } from '../../src/manager/upkeep/fsck/finding.ts';
import { TREE } from '../support/machine/program.ts';
import { catalogDamages } from './damages/catalog.ts';
import { accountDamages, compositionDamages } from './damages/compositions.ts';
import { fileDamages } from './damages/delta-files.ts';
import { nameDamages } from './damages/delta-names.ts';
import { tableDamages } from './damages/delta-tables.ts';
import { dictionaryDamages } from './damages/dictionary.ts';
import { envDamages } from './damages/envs.ts';
import { changeDamages, inodeDamages } from './damages/indexes.ts';
import { linkDamages } from './damages/links.ts';
import { objectDamages } from './damages/objects.ts';
import { counterDamages, patchDamages } from './damages/records.ts';
import { rootDamages } from './damages/root.ts';

test('every check finds a damage that is done to a root here', () => {
  const damages = [
    ...rootDamages,
    ...catalogDamages,
    ...compositionDamages,
    ...accountDamages,
    ...dictionaryDamages,
    ...linkDamages,
    ...inodeDamages,
    ...changeDamages,
    ...objectDamages,
    ...envDamages,
    ...patchDamages,
    ...counterDamages,
    ...tableDamages,
    ...nameDamages,
    ...fileDamages,
  ];
  // Of what is gone as a whole: test/damage, test/delta/lost-journal.test.ts. Of packages: test/packages/fsck.test.ts.
  const elsewhere = ['envs.directory', 'envs.lost', 'delta.dependencies'];
  const found = new Set<string>([
    ...damages.flatMap(({ finds, also = [], leaves = [] }) => [finds, ...also, ...leaves]),
    ...elsewhere,
  ]);
  expect(CHECKS.filter((check) => !found.has(check))).toEqual([]);
});

test('docs/internals/FSCK.md has a row for every check', () => {
  const text = readFileSync(path.join(TREE, 'docs/internals/FSCK.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, check]) => check);
  expect(rows).toEqual([...CHECKS]);
});
