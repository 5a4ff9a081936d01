import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** An ext4 of its own, that can be filled. */
export class SmallDisk {
  /** Beside it, for what must not be on it: sockets, configurations. */
  readonly beside: string;
  /** Where it is mounted. */
  readonly place: string;

  /** @param bytes its size */
  constructor(bytes: number) {
    this.beside = mkdtempSync(path.join(tmpdir(), 'byref-disk-'));
    this.place = path.join(this.beside, 'mounted');
    const { beside, place } = this;
    execFileSync('bash', [
      '-euc',
      `mkdir ${place}; truncate -s ${bytes} ${beside}/image; mkfs.ext4 -qF -m 0 ${beside}/image; mount -o loop ${beside}/image ${place}`,
    ]);
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
