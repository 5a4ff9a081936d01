import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';

export type FileSystemType = 'ext4' | 'xfs' | 'btrfs';

/** What makes a file system of a type. */
export const MAKE: Record<FileSystemType, readonly string[]> = {
  ext4: ['mkfs.ext4', '-qF'],
  xfs: ['mkfs.xfs', '-qf'],
  btrfs: ['mkfs.btrfs', '-qf'],
};
const DISK = '512M';

/**
 * A disk whose power can be cut. It is an image on an XFS of the test's own, where a file is cloned at
 * one instant: what the file system on the image has not written by then is lost.
 */
export class PowerDisk {
  /** Beside the disk, for what no power cut touches. */
  readonly beside: string;
  /** Where it is mounted. */
  readonly place: string;
  private readonly type: FileSystemType;
  private readonly host: string;
  private image: string;
  private cuts = 0;

  constructor(type: FileSystemType) {
    this.type = type;
    this.beside = mkdtempSync(path.join(tmpdir(), 'byref-power-'));
    this.host = path.join(this.beside, 'host');
    this.place = path.join(this.beside, 'disk');
    this.image = path.join(this.host, 'image');
    mkdirSync(this.host);
    mkdirSync(this.place);
    const file = path.join(this.beside, 'host.img');
    run('truncate', '-s', '4G', file);
    run(...MAKE.xfs, file);
    run('mount', '-o', 'loop', file, this.host);
    run('truncate', '-s', DISK, this.image);
    run(...MAKE[type], this.image);
    this.mount();
  }

  /** Takes the disk as it is at this instant. Nothing of it may be in use when powerOn() is called. */
  cut(): void {
    const next = path.join(this.host, `image-${++this.cuts}`);
    run('cp', '--reflink=always', this.image, next);
    this.image = next;
  }

  /** Mounts what cut() took, where the disk was. */
  async powerOn(): Promise<void> {
    await unmount(this.place);
    this.mount();
  }

  async dispose(): Promise<void> {
    await unmount(this.place);
    await unmount(this.host);
    rmSync(this.beside, { recursive: true });
  }

  private mount(): void {
    // XFS takes a copy for the disk that it was copied from.
    const options = this.type === 'xfs' ? 'loop,nouuid' : 'loop';
    run('mount', '-o', options, this.image, this.place);
  }
}

/** Namespaces that other tests make meanwhile have these mounts too, and a loop device is let go of a moment later. */
export async function unmount(place: string): Promise<void> {
  await expect.poll(() => tryUnmount(place), { timeout: 30_000 }).toBe('');
}

function tryUnmount(place: string): string {
  try {
    run('umount', place);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Runs a program that must succeed. */
export function run(...command: readonly string[]): void {
  const [file = '', ...args] = command;
  execFileSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
