import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Random } from './random.ts';

/** A tree before it is written: the same for the same arguments, on every machine. */
export interface TreePlan {
  /** Relative paths, parents first. */
  readonly dirs: readonly string[];
  readonly files: readonly PlannedFile[];
  readonly symlinks: readonly { path: string; target: string }[];
}

export interface PlannedFile {
  readonly path: string;
  readonly size: number;
  /** Files of one content number and size have equal bytes. */
  readonly content: number;
}

/** Shares of a Debian root: nearly all of it is below /usr. */
const SHARES = [
  { top: 'usr', share: 0.9 },
  { top: 'var/lib', share: 0.07 },
  { top: 'etc', share: 0.03 },
] as const;
const SYLLABLES = 'ba co di fe gu ha ki lo mu ne pa qui ro su te vi xo za'.split(' ');
const SUFFIXES = ['.so.1', '.py', '.h', '.mo', '.gz', '.conf', '.txt', '.svg', '', ''];
const DIR_ENTRIES = { low: 10, high: 300 };
const SUBDIR_CHANCE = 0.12;
const SYMLINK_CHANCE = 0.03;

export interface TreeShape {
  readonly files: number;
  /** How many different contents; unset: every file its own. */
  readonly contents?: number;
  readonly median: number;
  readonly largest: number;
}

/** Like a Debian root: about 330 MiB in 30,000 files of 100 B to 200 KiB. */
export const DEBIAN_LIKE: TreeShape = { files: 30_000, median: 4500, largest: 200 * 1024 };

export function planTree(shape: TreeShape): TreePlan {
  const random = new Random(20_061_122);
  const dirs: string[] = ['var'];
  const files: PlannedFile[] = [];
  const symlinks: { path: string; target: string }[] = [];

  const fill = (dir: string, until: number, open: string[]): void => {
    dirs.push(dir);
    const entries = random.logBetween(DIR_ENTRIES.low, DIR_ENTRIES.high);
    for (let i = 0; i < entries && files.length < until; i++) {
      const stem = `${random.pick(SYLLABLES)}${random.pick(SYLLABLES)}${random.pick(SYLLABLES)}${i}`;
      if (random.next() < SUBDIR_CHANCE) {
        open.push(`${dir}/${stem}`);
        continue;
      }
      const name = stem + random.pick(SUFFIXES);
      if (random.next() < SYMLINK_CHANCE)
        symlinks.push({ path: `${dir}/${stem}.lnk`, target: name });
      const size = random.size(shape.median, 1.4, 100, shape.largest);
      const content = shape.contents ? files.length % shape.contents : files.length;
      files.push({ path: `${dir}/${name}`, size: shape.contents ? 100 + content : size, content });
    }
  };

  for (const { top, share } of SHARES) {
    const until = files.length + Math.round(shape.files * share);
    const open: string[] = [top];
    for (let next = 0; files.length < until; next++) {
      if (next === open.length) open.push(`${top}/more${next}`);
      fill(open[next] ?? top, until, open);
    }
  }
  return { dirs, files, symlinks };
}

export function writeTree(plan: TreePlan, root: string): void {
  const bytes = new Contents();
  mkdirSync(root, { recursive: true });
  for (const dir of plan.dirs) mkdirSync(join(root, dir), { recursive: true });
  for (const file of plan.files) {
    writeFileSync(join(root, file.path), bytes.take(file.content, file.size));
  }
  for (const link of plan.symlinks) symlinkSync(link.target, join(root, link.path));
}

const POOL_BYTES = 2 * 1024 * 1024;
const CHUNK = 1024 * 1024;

/** Bytes that don't compress and differ per content number, without generating each one anew. */
export class Contents {
  readonly #pool = Buffer.alloc(POOL_BYTES);
  readonly #taken = Buffer.alloc(CHUNK);

  constructor() {
    const random = new Random(7);
    for (let i = 0; i < POOL_BYTES; i += 4)
      this.#pool.writeUInt32LE(random.between(0, 2 ** 32 - 1), i);
  }

  /** At most 1 MiB; valid until the next call. */
  take(content: number, size: number): Buffer {
    const at = (content * 64) % (POOL_BYTES - CHUNK);
    this.#pool.copy(this.#taken, 0, at, at + size);
    this.#taken.writeDoubleLE(content, 0);
    return this.#taken.subarray(0, size);
  }

  writeLarge(path: string, size: number): void {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(path, 'wx', 0o644);
    for (let at = 0; at < size; at += CHUNK) {
      writeSync(fd, this.take(size + at / CHUNK, Math.min(CHUNK, size - at)));
    }
    closeSync(fd);
  }
}
