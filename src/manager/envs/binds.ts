/** Checks what of the machine an env may be given. */
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import type { EnvSettings } from '../../codec/env-settings.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import { barrierAbove } from './mountpoint.ts';

/**
 * Refuses binds that would let an env out: of what holds the store, the drivers' sockets, or all. One that it may write to must
 * be out of reach for the machine's users, since root of the env can make set-user-ID programs in it that are root's on the machine.
 * @throws ByrefError 'badInput', 'usage'
 */
export function refuseBinds(root: string, { binds, privileged }: EnvSettings): void {
  for (const { source, readOnly } of binds) {
    const real = realOf(source);
    const runDir = path.dirname(new RunDir(root).path);
    const closed = [root, runDir].filter(existsSync).map((each) => realpathSync(each));
    if (real === '/' || closed.some((each) => isWithin(each, real) || isWithin(real, each))) {
      const message = `${source} can't be bound: it holds, or is a part of, the root of byref`;
      throw new ByrefError('usage', message, 'Name a directory that has nothing else in it.');
    }
    if (readOnly || privileged || barrierAbove(real) !== null) continue;
    const message = `users of this machine can reach ${real}, and root of the env could leave set-user-ID programs there`;
    const hint = 'Put it below a directory that only root may search (chmod 700), or say :ro.';
    throw new ByrefError('usage', message, hint);
  }
}

/** Returns the path of what is bound, without symlinks. @throws ByrefError 'badInput' if there is nothing */
export function realOf(source: string): string {
  try {
    return realpathSync(source);
  } catch (cause) {
    const message = `there is no ${source}`;
    throw new ByrefError('badInput', message, 'Name a file or directory of the machine.', {
      cause,
    });
  }
}

const isWithin = (file: string, directory: string): boolean =>
  file === directory || directory === '/' || file.startsWith(`${directory}/`);
