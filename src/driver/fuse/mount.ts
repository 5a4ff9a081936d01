import { O_CLOEXEC, O_RDWR } from '../../base/mode.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../base/mount-flags.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import { openFile } from '../../native/open-file.ts';

const DEVICE = '/dev/fuse';
const O_NONBLOCK = 0o4000;

/** Opens a new connection to the kernel, not mounted yet. Returns a descriptor, or -errno. */
export const openDevice = (): number =>
  openFile(AT_FDCWD, DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);

/**
 * Mounts the connection at `target`. Its first request, INIT, then waits on the descriptor. The mount shows as
 * type "fuse.byref", source "byref:<name>".
 *
 * @param flags MS_* flags of mount(2); 0 leaves set-user-ID programs and devices working
 * @returns 0 or -errno
 */
export function mountDevice(devFd: number, target: string, name: string, flags: number): number {
  const options = [
    `fd=${String(devFd)}`,
    'rootmode=40000',
    'user_id=0',
    'group_id=0',
    'default_permissions',
    'allow_other',
  ];
  return native.mount(`byref:${name}`, target, 'fuse.byref', flags, options.join(','));
}

/** Unmounts; returns -EBUSY while in use. With `lazy`, takes the mount out of the tree now and ends it when unused. */
export const unmount = (target: string, lazy: boolean): number =>
  native.umount(target, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0));
