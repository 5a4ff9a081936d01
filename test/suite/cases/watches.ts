import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  IN_ATTRIB,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  Watcher,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';

const ENTRY_CHANGES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
const IN_ISDIR = 0x40000000;

function watching(path: string, mask: number, action: (watcher: Watcher) => void): void {
  const watcher = new Watcher();
  try {
    watcher.watch(path, mask);
    action(watcher);
  } finally {
    watcher.close();
  }
}

export const watches: CaseGroup = {
  'a directory tells of entries that come, go and move': ({ at, dir }) =>
    watching(dir, ENTRY_CHANGES, (watcher) => {
      fs.writeFileSync(at('f'), '');
      fs.mkdirSync(at('d'));
      fs.renameSync(at('f'), at('g'));
      fs.unlinkSync(at('g'));
      fs.rmdirSync(at('d'));
      const events = watcher.events();
      assert.deepEqual(
        events.map(({ mask, name }) => [mask, name]),
        [
          [IN_CREATE, 'f'],
          [IN_CREATE | IN_ISDIR, 'd'],
          [IN_MOVED_FROM, 'f'],
          [IN_MOVED_TO, 'g'],
          [IN_DELETE, 'g'],
          [IN_DELETE | IN_ISDIR, 'd'],
        ],
      );
      assert.equal(events[2]!.cookie, events[3]!.cookie);
    }),

  'a file tells of writes, closes and attribute changes': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    watching(at('f'), IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB, (watcher) => {
      fs.appendFileSync(at('f'), 'x');
      fs.chmodSync(at('f'), 0o600);
      const seen = watcher.events().reduce((mask, event) => mask | event.mask, 0);
      assert.equal(seen, IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB);
    });
  },

  'a watched file tells of its move and its end': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    watching(at('f'), IN_MOVE_SELF | IN_DELETE_SELF, (watcher) => {
      fs.renameSync(at('f'), at('g'));
      assert.deepEqual(
        watcher.events().map(({ mask }) => mask),
        [IN_MOVE_SELF],
      );
      fs.unlinkSync(at('g'));
      assert.equal(watcher.events()[0]?.mask, IN_DELETE_SELF);
    });
  },

  'a watch stays with a directory that is renamed': ({ at }) => {
    fs.mkdirSync(at('d'));
    watching(at('d'), ENTRY_CHANGES, (watcher) => {
      fs.renameSync(at('d'), at('e'));
      fs.writeFileSync(at('e', 'f'), '');
      assert.deepEqual(
        watcher.events().map(({ name }) => name),
        ['f'],
      );
    });
  },
};
