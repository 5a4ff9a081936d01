import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { asUser } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, namesIn, permissions, textOf } from '../expect.ts';
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

  'a hard link is good after the name that was looked up first went': ({ at }) => {
    for (const name of ['lower', 'upper']) fs.mkdirSync(at(name));
    fs.writeFileSync(at('lower', 'below'), 'text');
    using overlay = makeOverlay(at(), at('lower'), at('upper'));
    const { merged } = overlay;
    const link = (from: string, to: string): void => {
      fs.linkSync(merged(from), merged(to));
      // overlayfs has one inode for both names now, which it knows by the first one.
      assert.equal(fs.lstatSync(merged(to)).nlink, 2);
    };
    fs.mkdirSync(merged('dir'));
    for (const name of ['removed', 'replaced', 'dir/leaf']) fs.writeFileSync(merged(name), 'text');
    for (const name of ['removed', 'replaced', 'dir/leaf', 'below']) {
      link(name, `${path.basename(name)}-2`);
    }
    fs.unlinkSync(merged('removed'));
    fs.unlinkSync(merged('below'));
    fs.writeFileSync(merged('other'), 'other');
    fs.renameSync(merged('other'), merged('replaced'));
    fs.rmSync(merged('dir'), { recursive: true });
    for (const name of ['removed', 'dir', 'below']) {
      fails('ENOENT', () => fs.lstatSync(merged(name)));
      fails('ENOENT', () => fs.lstatSync(at('upper', name === 'below' ? 'dir' : name)));
    }
    assert.equal(textOf(merged('replaced')), 'other');
    assert.equal(textOf(at('upper', 'replaced')), 'other');
    for (const name of ['removed-2', 'replaced-2', 'leaf-2', 'below-2']) {
      assert.equal(textOf(merged(name)), 'text');
      assert.equal(fs.lstatSync(merged(name)).nlink, 1);
      fs.appendFileSync(merged(name), ' and more');
      fs.renameSync(merged(name), merged('moved'));
      assert.equal(textOf(merged('moved')), 'text and more');
      fs.unlinkSync(merged('moved'));
    }
    // The names can be made anew, as anything.
    fs.mkdirSync(merged('removed'));
    fs.linkSync(merged('replaced'), merged('dir'));
    assert.equal(textOf(merged('dir')), 'other');
    assert.deepEqual(namesIn(merged()), ['dir', 'removed', 'replaced']);
  },

  'a user’s truncate takes set-ID bits in an overlay, too': ({ at, dir }) => {
    for (const name of ['lower', 'upper']) fs.mkdirSync(at(name));
    fs.chmodSync(dir, 0o755);
    using overlay = makeOverlay(at(), at('lower'), at('upper'));
    for (const change of [
      (file: string) => fs.truncateSync(file, 1),
      (file: string) => fs.writeFileSync(file, ''),
    ]) {
      const file = overlay.merged('program');
      fs.writeFileSync(file, 'text');
      fs.chmodSync(file, 0o6777);
      asUser({ uid: 1000, gid: 1000 }, () => change(file));
      assert.equal(permissions(file), 0o777);
    }
  },
};
