/**
 * What must hold for the files that an env has from its templates. Each case runs on a tree of its
 * own (fixture.ts), once where data is coherent (below `etc`) and once where it is shared (`usr`).
 * On ext4 the "templates" are just copied to the directory: the cases hold there as well.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type Case, type CaseGroup, joinGroups } from '../case.ts';
import { makeSetIdPrograms } from '../set-id-programs.ts';
import { templateFiles } from './changes.ts';
import { makeAppTree, makeTree } from './fixture.ts';
import { templateOverlays } from './overlays.ts';
import { coherentReaders, sharedReaders } from './readers.ts';
import { mergedTrees, templateTrees } from './trees.ts';

const PLACES: Readonly<Record<string, CaseGroup>> = {
  etc: {
    ...templateFiles,
    ...templateTrees,
    ...coherentReaders,
    ...sharedReaders,
    ...templateOverlays,
  },
  usr: { ...templateFiles, ...templateTrees, ...sharedReaders, ...templateOverlays },
  'etc/merged': mergedTrees,
  'usr/merged': mergedTrees,
};

export const templateSuite: ReadonlyMap<string, Case> = joinGroups(PLACES);

/** The one case that needs more than every tree has. */
const SET_ID_CASE = 'set-ID programs that a user changed give him no rights';

const placeOf = (name: string): string => name.slice(0, name.indexOf(': '));

/** Where in an env the tree of a case is: `etc: append` -> `etc/case-append`. */
export function treeOf(name: string): string {
  const [place, title] = [placeOf(name), name.slice(name.indexOf(': ') + 2)];
  return path.join(place, `case-${title.replaceAll(/[^a-z]+/gi, '-')}`.slice(0, 120));
}

/** Builds what the OS template, or the app template, has for all cases. */
export function makeFixture(root: string, kind: 'os' | 'app'): void {
  for (const name of templateSuite.keys()) {
    const dir = path.join(root, treeOf(name));
    if (kind === 'app' && !placeOf(name).endsWith('/merged')) continue;
    fs.mkdirSync(dir, { recursive: true });
    if (name.endsWith(SET_ID_CASE)) makeSetIdPrograms(dir);
    if (kind === 'os') makeTree(dir);
    else makeAppTree(dir);
  }
}
