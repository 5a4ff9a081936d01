import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** A mounted overlay; disposing of it unmounts it. */
export interface Overlay extends Disposable {
  /** A path in it. */
  readonly merged: (...names: string[]) => string;
  /** Unmounts it and mounts it again: overlayfs has forgotten all then. */
  readonly remount: () => void;
}

/** Mounts an overlay of two directories that are there; the others are made in `dir`. */
export function makeOverlay(dir: string, lower: string, upper: string): Overlay {
  const [work, mountpoint] = [path.join(dir, 'work'), path.join(dir, 'merged')];
  fs.mkdirSync(work);
  fs.mkdirSync(mountpoint);
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  const mount = (): void => run('mount', '-t', 'overlay', 'overlay', '-o', options, mountpoint);
  mount();
  return {
    merged: (...names) => path.join(mountpoint, ...names),
    remount: () => {
      run('umount', mountpoint);
      mount();
    },
    [Symbol.dispose]: () => run('umount', '--lazy', mountpoint),
  };
}

const run = (file: string, ...args: string[]): void => {
  execFileSync(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
};

/** The kernel lets go of every name and inode that nothing uses. */
export const dropNames = (): void => fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
