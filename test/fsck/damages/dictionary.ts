/** Damage to the dictionary of directories. */
import type { Ino } from '../../../src/base/ids.ts';
import { encodeDirName, encodeNumber } from '../../../src/codec/store-rows.ts';
import { dirKey, inoKey } from '../../../src/store/keys.ts';
import type { Tables } from '../../../src/store/tables.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import { edit, JUNK, linkAt, OS, put, unused } from '../../support/damage/edit-store.ts';

const etc = (tables: Tables): Ino => linkAt(tables, OS, 'etc').ino;
const ROOT = 1 as Ino;
const name = (text: string) => text as ReturnType<typeof linkAt>['name'];

const editDictionary = (change: (tables: Tables) => void) => (root: string) => edit(root, change);

/** A directory that no template has. */
function addDir(tables: Tables, ino: Ino, parent: Ino, text: string): void {
  tables.table('dirs').putSync(dirKey(parent, name(text)), encodeNumber(ino));
  tables.table('dirNames').putSync(inoKey(ino), encodeDirName({ parent, name: name(text) }));
}

export const dictionaryDamages: readonly Damage[] = [
  {
    of: 'a place whose number does not decode',
    harm: put('dirs', dirKey(ROOT, name('etc')), JUNK),
    finds: 'dirs.row',
    says: /directory \/etc: dirs does not lead from it/,
    remedy: REPAIR,
  },
  {
    of: 'a number whose place does not decode',
    harm: editDictionary((t) => t.table('dirNames').putSync(inoKey(etc(t)), JUNK)),
    finds: 'dirs.row',
    says: /directory \/etc: dirNames does not lead/,
    remedy: REPAIR,
  },
  {
    of: 'rows that do not decode and that nobody needs',
    harm: editDictionary((tables) => {
      tables.table('dirs').putSync(dirKey(ROOT, name('x')), JUNK);
      tables.table('dirNames').putSync(inoKey(unused(tables, 1)), JUNK);
    }),
    finds: 'dirs.row',
    says: /its row in dirs can't be read/,
    remedy: REPAIR,
  },
  {
    of: 'a place without a number',
    harm: editDictionary((t) => void t.table('dirs').removeSync(dirKey(ROOT, name('etc')))),
    finds: 'dirs.pairs',
    says: /directory \/etc: dirs does not lead from it to number \d+/,
    remedy: REPAIR,
  },
  {
    of: 'a number without a place',
    harm: editDictionary((t) => void t.table('dirNames').removeSync(inoKey(etc(t)))),
    finds: 'dirs.pairs',
    says: /directory \/etc: dirNames does not lead from number \d+ to it/,
    remedy: REPAIR,
  },
  {
    of: 'a place with the number of another directory',
    harm: editDictionary((tables) => {
      const { ino } = linkAt(tables, OS, 'usr');
      tables.table('dirs').putSync(dirKey(ROOT, name('etc')), encodeNumber(ino));
    }),
    finds: 'dirs.pairs',
    says: /directory \/etc: dirs does not lead from it/,
    remedy: REPAIR,
  },
  {
    of: 'a number with the place of another directory',
    harm: editDictionary((tables) => {
      const place = encodeDirName({ parent: ROOT, name: name('usr') });
      tables.table('dirNames').putSync(inoKey(etc(tables)), place);
    }),
    finds: 'dirs.pairs',
    says: /directory \/etc: dirNames does not lead/,
    remedy: REPAIR,
  },
  {
    of: 'both rows of a directory are gone',
    harm: editDictionary((tables) => {
      tables.table('dirNames').removeSync(inoKey(etc(tables)));
      tables.table('dirs').removeSync(dirKey(ROOT, name('etc')));
    }),
    finds: 'dirs.pairs',
    says: /directory \/etc/,
    remedy: REPAIR,
  },
  {
    of: 'a second number for a place',
    harm: editDictionary((tables) => {
      const place = encodeDirName({ parent: ROOT, name: name('etc') });
      tables.table('dirNames').putSync(inoKey(unused(tables, 1)), place);
    }),
    finds: 'dirs.pairs',
    says: /directory \/etc: dirNames leads from number \d+ to it, too/,
    remedy: REPAIR,
  },
  {
    of: 'rows that contradict each other, of a directory that no template has',
    harm: editDictionary((tables) => {
      const ino = unused(tables, 1);
      addDir(tables, ino, ROOT, 'x');
      const place = encodeDirName({ parent: ROOT, name: name('y') });
      tables.table('dirNames').putSync(inoKey(ino), place);
    }),
    finds: 'dirs.pairs',
    says: /directory \/x: dirNames does not lead/,
    remedy: BACKUP,
    leaves: ['dirs.pairs'],
  },
  {
    of: 'a directory in none',
    harm: editDictionary((t) => addDir(t, unused(t, 1), unused(t, 2), 'x')),
    finds: 'dirs.parents',
    says: /it hangs in no directory/,
    remedy: BACKUP,
    leaves: ['dirs.parents'],
  },
  {
    of: 'directories in each other',
    harm: editDictionary((tables) => {
      addDir(tables, unused(tables, 1), unused(tables, 2), 'x');
      addDir(tables, unused(tables, 2), unused(tables, 1), 'y');
    }),
    finds: 'dirs.parents',
    says: /it hangs in itself/,
    remedy: BACKUP,
    leaves: ['dirs.parents'],
  },
];
