import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { CaseGroup } from '../case.ts';
import { fails, namesIn, textOf } from '../expect.ts';
import { dropNames, makeOverlay } from '../overlay.ts';

const NAMES = ['one', 'two', 'three', 'four', 'five', 'six'];

/** overlayfs, all of whose directories lie on the file system: what a container engine mounts there. */
export const overlays: CaseGroup = {
  'what was copied up is found after the kernel dropped all names': ({ at }) => {
    fs.mkdirSync(at('lower', 'sub'), { recursive: true });
    fs.mkdirSync(at('upper'));
    for (const name of NAMES) fs.writeFileSync(at('lower', name), name);
    fs.writeFileSync(at('lower', 'sub', 'leaf'), 'leaf');
    using overlay = makeOverlay(at(), at('lower'), at('upper'));
    const { merged } = overlay;
    for (const name of NAMES) fs.renameSync(merged(name), merged('sub', name));
    fs.chmodSync(merged('sub', 'leaf'), 0o600);
    for (let round = 0; round < 2; round++) {
      dropNames();
      // The first look brings a name in, the second one asks whether it is still good.
      for (const name of [...NAMES, 'leaf', ...NAMES, 'leaf']) {
        assert.equal(fs.lstatSync(merged('sub', name)).size, name.length);
        assert.equal(textOf(merged('sub', name)), name);
      }
      overlay.remount();
    }
    for (const name of NAMES) fs.renameSync(merged('sub', name), merged(name));
    assert.deepEqual(namesIn(merged()), [...NAMES, 'sub'].sort());
    fs.rmSync(merged('sub'), { recursive: true });
    fails('ENOENT', () => fs.lstatSync(merged('sub')));
    assert.deepEqual(namesIn(at('lower', 'sub')), ['leaf']);
  },
};
