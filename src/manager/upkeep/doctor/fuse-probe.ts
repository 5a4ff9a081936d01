import { closeSync, mkdtempSync, openSync, readSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MNT_DETACH } from '../../../base/mount-flags.ts';
import { native as loaded, type Native } from '../../../native/binding.ts';

/** The kernel's offer in the FUSE INIT request of a real mount. */
export interface FuseOffer {
  readonly major: number;
  readonly minor: number;
  /** Tells whether a bit is set in flags and flags2, counted through both. */
  has(bit: number): boolean;
}

/** Numbers of bits in struct fuse_init_in's flags | flags2 << 32. */
export const FUSE_BIT = {
  posixAcl: 20,
  handleKillprivV2: 28,
  passthrough: 37,
  resend: 39,
  allowIdmap: 40,
  overIoUring: 41,
} as const;

const IN_HEADER = 40;
const REQUEST_MAX = 8192;

/** Mounts a FUSE file system in a temporary directory, reads its INIT request, and ends it. */
export function probeFuse(native: Native = loaded): FuseOffer {
  const mountpoint = mkdtempSync(path.join(tmpdir(), 'byref-doctor-'));
  const fd = openSync('/dev/fuse', 'r+');
  try {
    const data = `fd=${fd},rootmode=40000,user_id=0,group_id=0`;
    const result = native.mount('byref-doctor', mountpoint, 'fuse', 0, data);
    if (result < 0) throw new Error(`mount(2) of type fuse failed with errno ${-result}`);
    return readInit(fd);
  } finally {
    // Closing first ends the connection, so that unmounting waits for no answer.
    closeSync(fd);
    native.umount(mountpoint, MNT_DETACH);
    rmdirSync(mountpoint);
  }
}

function readInit(fd: number): FuseOffer {
  const request = Buffer.alloc(REQUEST_MAX);
  const length = readSync(fd, request);
  const body = request.subarray(IN_HEADER, length);
  const low = body.readUInt32LE(12);
  const high = body.length >= 20 ? body.readUInt32LE(16) : 0;
  return {
    major: body.readUInt32LE(0),
    minor: body.readUInt32LE(4),
    has: (bit) => (((bit < 32 ? low : high) >>> (bit & 31)) & 1) === 1,
  };
}
