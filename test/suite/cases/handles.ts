import assert from 'node:assert/strict';
import fs from 'node:fs';
import { nameToHandle, openHandle } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, namesIn, readText, tick, withFile } from '../expect.ts';

const { O_DIRECTORY, O_RDONLY, O_RDWR } = fs.constants;

function opens(mount: number, handle: ReturnType<typeof nameToHandle>): boolean {
  try {
    fs.closeSync(openHandle(mount, handle, O_RDONLY));
    return true;
  } catch {
    return false;
  }
}

export const fileHandles: CaseGroup = {
  'a handle opens the file, for reading and writing': ({ at, dir }) => {
    fs.writeFileSync(at('f'), 'by handle');
    const handle = nameToHandle(at('f'));
    withFile(dir, 'r', (mount) => {
      const fd = openHandle(mount, handle, O_RDWR);
      assert.equal(readText(fd, 0, 20), 'by handle');
      fs.writeSync(fd, 'BY', 0);
      fs.closeSync(fd);
    });
    assert.equal(fs.readFileSync(at('f'), 'latin1'), 'BY handle');
  },

  'a handle survives rename and the drop of the cached name': ({ at, dir }) => {
    fs.mkdirSync(at('d'));
    fs.writeFileSync(at('d', 'f'), 'moved');
    const [file, folder] = [nameToHandle(at('d', 'f')), nameToHandle(at('d'))];
    fs.renameSync(at('d', 'f'), at('g'));
    fs.renameSync(at('d'), at('e'));
    fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
    withFile(dir, 'r', (mount) => {
      const fd = openHandle(mount, file, O_RDONLY);
      assert.equal(fs.fstatSync(fd).ino, fs.lstatSync(at('g')).ino);
      fs.closeSync(fd);
      const folderFd = openHandle(mount, folder, O_RDONLY | O_DIRECTORY);
      assert.equal(fs.readlinkSync(`/proc/self/fd/${folderFd}`), fs.realpathSync(at('e')));
      assert.deepEqual(namesIn(`/proc/self/fd/${folderFd}`), []);
      fs.closeSync(folderFd);
    });
  },

  'a handle of a removed file is ESTALE': ({ at, dir }) => {
    fs.writeFileSync(at('f'), '');
    const handle = nameToHandle(at('f'));
    fs.unlinkSync(at('f'));
    // The kernel has the inode until its last close has been answered, which close(2) does not wait for.
    withFile(dir, 'r', (mount) => {
      for (let tries = 0; tries < 100 && opens(mount, handle); tries++) tick();
      fails('ESTALE', () => openHandle(mount, handle, O_RDONLY));
    });
  },
};
