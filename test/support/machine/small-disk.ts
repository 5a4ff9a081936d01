import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** How a file system of each type is made on an image ($1) and mounted ($2); $3 is its size in bytes. */
const MOUNT = {
  ext4: 'truncate -s "$3" "$1"; mkfs.ext4 -qF -m 0 "$1"; mount -o loop "$1" "$2"',
  'ext4-of-few-inodes':
    'truncate -s "$3" "$1"; mkfs.ext4 -qF -m 0 -N 400 "$1"; mount -o loop "$1" "$2"',
  xfs: 'truncate -s "$3" "$1"; mkfs.xfs -q "$1"; mount -o loop "$1" "$2"',
  'xfs-without-reflinks':
    'truncate -s "$3" "$1"; mkfs.xfs -q -m reflink=0 "$1"; mount -o loop "$1" "$2"',
  btrfs: 'truncate -s "$3" "$1"; mkfs.btrfs -q "$1"; mount -o loop "$1" "$2"',
  tmpfs: 'mount -t tmpfs -o "size=$3" tmpfs "$2"',
} as const;

/** A file system of its own, that can be filled. */
export class SmallDisk {
  /** Beside it, for what must not be on it: sockets, configurations. */
  readonly beside: string;
  /** Where it is mounted. */
  readonly place: string;

  /** @param bytes its size; XFS needs 300 MiB, Btrfs 110 */
  constructor(bytes: number, type: keyof typeof MOUNT = 'ext4') {
    this.beside = mkdtempSync(path.join(tmpdir(), 'byref-disk-'));
    this.place = path.join(this.beside, 'mounted');
    mkdirSync(this.place);
    const image = path.join(this.beside, 'image');
    execFileSync('bash', ['-euc', MOUNT[type], 'sh', image, this.place, String(bytes)]);
  }

  /** Takes all the space, and gives some of it back. */
  fill(leftBytes: number): void {
    const script = `
      dd if=/dev/zero of=${this.place}/filler bs=4k 2>/dev/null || true
      truncate -s -${leftBytes} ${this.place}/filler`;
    execFileSync('bash', ['-euc', script]);
  }

  /** Gives all of it back. */
  empty(): void {
    rmSync(path.join(this.place, 'filler'), { force: true });
  }

  dispose(): void {
    execFileSync('umount', [this.place]);
    rmSync(this.beside, { recursive: true });
  }
}
