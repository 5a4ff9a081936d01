import { AT_FDCWD } from './constants.ts';
import { call, cString, type PathLike } from './raw.ts';

const HANDLE_BYTES = 128;

/** An encoded file handle: struct file_handle. */
export type FileHandle = Buffer & { readonly fileHandle?: never };

export function nameToHandle(path: PathLike): FileHandle {
  const handle = Buffer.alloc(8 + HANDLE_BYTES);
  handle.writeUInt32LE(HANDLE_BYTES);
  const mountId = Buffer.alloc(4);
  call('name_to_handle_at', AT_FDCWD, cString(path), handle, mountId, 0);
  return handle;
}

/** Opens what a handle stands for; throws ESTALE if it is gone. `mountFd`: any descriptor there. */
export const openHandle = (mountFd: number, handle: FileHandle, flags: number): number =>
  call('open_by_handle_at', mountFd, handle, flags);
