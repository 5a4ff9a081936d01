import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { CaseGroup } from '../case.ts';
import { namesIn, readText, textOf, withFile } from '../expect.ts';
import { dropNames, makeOverlay } from '../overlay.ts';
import { FULL_COUNT, TEXT } from './fixture.ts';

/** overlayfs on directories that came with the template. */
export const templateOverlays: CaseGroup = {
  'an overlay of two of its directories': ({ at }) => {
    using overlay = makeOverlay(at(), at('full'), at('sub'));
    const { merged } = overlay;
    const all = [...namesIn(at('full')), 'deep', 'hard-c', 'one'].sort();
    assert.deepEqual(namesIn(merged()), all);
    for (let i = 0; i < FULL_COUNT; i += 2) {
      fs.renameSync(merged(`entry-${i}`), merged('deep', `moved-${i}`));
    }
    for (const name of ['one', 'entry-1']) fs.appendFileSync(merged(name), 'more');
    fs.renameSync(merged('one'), merged('entry-3'));
    const check = (): void => {
      for (let i = 0; i < FULL_COUNT; i += 2) {
        assert.equal(textOf(merged('deep', `moved-${i}`)), `${i}`);
      }
      assert.equal(textOf(merged('entry-3')), `${TEXT}more`);
      assert.equal(textOf(merged('entry-1')), '1more');
    };
    for (let round = 0; round < 2; round++) {
      dropNames();
      check();
      check();
      overlay.remount();
    }
    check();
    assert.equal(textOf(at('full', 'entry-3')), '3');
    assert.equal(namesIn(at('full')).length, FULL_COUNT);
  },

  'an overlay’s upper file is written while it is read there': ({ at }) => {
    using overlay = makeOverlay(at(), at('full'), at('sub'));
    const { merged } = overlay;
    for (const name of ['one', 'deep/leaf']) {
      withFile(merged(name), 'r', (reader) => {
        assert.equal(readText(reader, 0, 4), TEXT.slice(0, 4));
        withFile(merged(name), 'r+', (writer) => fs.writeSync(writer, 'NEW!', 0));
        assert.equal(readText(reader, 0, 100), `NEW!${TEXT.slice(4)}`);
        fs.truncateSync(merged(name), 3);
        assert.equal(readText(reader, 0, 100), 'NEW');
      });
      assert.equal(textOf(merged(name)), 'NEW');
    }
  },
};
