import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  allocate,
  call,
  copyRange,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  MAP_SHARED,
  Mapping,
} from '../syscalls/index.ts';

const SIZE_MAX = 1 << 20;
const PIECE_MAX = 70_000;
const BLOCK = 4096;
const FADV_DONTNEED = 4;

/** A small generator of numbers (mulberry32), so that a seed is a whole history. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/**
 * One file, changed and read in every way there is at random, against a copy in memory: positioned,
 * mapped and direct I/O through two descriptors, truncation, holes, copies, closing and dropped pages.
 */
export class RandomIo {
  private readonly path: string;
  private readonly random: (below: number) => number;
  private copy: Buffer;
  private fds: [number, number];
  private readonly log: string[] = [];

  constructor(path: string, seed: number) {
    this.path = path;
    this.random = randomFrom(seed);
    this.copy = fs.readFileSync(path);
    this.fds = this.open();
  }

  /** @throws AssertionError with the last steps, if the file is not what it should be */
  run(rounds: number): void {
    try {
      for (let i = 0; i < rounds; i++) this.step(i);
      this.check(fs.readFileSync(this.path), 0, this.copy.length);
      assert.equal(fs.statSync(this.path).size, this.copy.length, 'size');
    } catch (error) {
      throw new Error(`after ${this.log.slice(-12).join(', ')}`, { cause: error });
    } finally {
      for (const fd of this.fds) fs.closeSync(fd);
    }
  }

  private open(): [number, number] {
    return [fs.openSync(this.path, 'r+'), fs.openSync(this.path, 'r+')];
  }

  private step(i: number): void {
    const steps = [
      () => this.write(),
      () => this.write(),
      () => this.read(),
      () => this.read(),
      () => this.store(),
      () => this.load(),
      () => this.truncate(),
      () => this.punch(),
      () => this.zero(),
      () => this.directRead(),
      () => this.directWrite(),
      () => this.copyWithin(),
      () => this.reopen(),
    ];
    const step = steps[this.random(steps.length)]!;
    this.log.push(`${i}`);
    step();
  }

  private note(what: string, offset: number, length: number): void {
    const step = this.log.pop() ?? '';
    this.log.push(`${step} ${what} ${offset}+${length}`);
  }

  private fd(): number {
    return this.fds[this.random(2)]!;
  }

  /** A range of the file as it is. */
  private range(): [offset: number, length: number] {
    const offset = this.random(this.copy.length + 1);
    return [offset, Math.min(this.random(PIECE_MAX), this.copy.length - offset)];
  }

  private check(seen: Buffer, offset: number, length: number): void {
    const expected = this.copy.subarray(offset, offset + length);
    if (seen.equals(expected)) return;
    const at = seen.findIndex((byte, i) => byte !== expected[i]);
    assert.fail(`${seen.length} bytes at ${offset}, expected ${length}; differ at ${offset + at}`);
  }

  private grow(size: number): void {
    if (size <= this.copy.length) return;
    this.copy = Buffer.concat([this.copy, Buffer.alloc(size - this.copy.length)]);
  }

  private write(): void {
    const bytes = Buffer.alloc(1 + this.random(PIECE_MAX), 1 + this.random(255));
    const offset = this.random(SIZE_MAX - bytes.length);
    this.note('write', offset, bytes.length);
    this.grow(offset + bytes.length);
    bytes.copy(this.copy, offset);
    fs.writeSync(this.fd(), bytes, 0, bytes.length, offset);
  }

  private read(): void {
    const [offset, length] = this.range();
    this.note('read', offset, length);
    const bytes = Buffer.alloc(length);
    const count = length === 0 ? 0 : fs.readSync(this.fd(), bytes, 0, length, offset);
    this.check(bytes.subarray(0, count), offset, length);
  }

  private mapped(action: (mapping: Mapping) => void): void {
    if (this.copy.length === 0) return;
    const mapping = Mapping.ofFile(this.fd(), this.copy.length, MAP_SHARED);
    action(mapping);
    mapping.unmap();
  }

  private store(): void {
    const [offset, length] = this.range();
    this.note('store', offset, length);
    const bytes = Buffer.alloc(length, 1 + this.random(255));
    this.mapped((mapping) => {
      mapping.write(offset, bytes);
    });
    bytes.copy(this.copy, offset);
  }

  private load(): void {
    const [offset, length] = this.range();
    this.note('load', offset, length);
    this.mapped((mapping) => this.check(mapping.read(offset, length), offset, length));
  }

  private truncate(): void {
    const size = this.random(SIZE_MAX);
    this.note('truncate', size, 0);
    if (this.random(2)) fs.ftruncateSync(this.fd(), size);
    else fs.truncateSync(this.path, size);
    this.grow(size);
    this.copy = Buffer.from(this.copy.subarray(0, size));
  }

  private punch(): void {
    const [offset, length] = this.range();
    if (length === 0) return;
    this.note('punch', offset, length);
    allocate(this.fd(), FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, offset, length);
    this.copy.fill(0, offset, offset + length);
  }

  private zero(): void {
    const length = 1 + this.random(PIECE_MAX);
    const offset = this.random(SIZE_MAX - length);
    this.note('zero', offset, length);
    allocate(this.fd(), FALLOC_ZERO_RANGE, offset, length);
    this.grow(offset + length);
    this.copy.fill(0, offset, offset + length);
  }

  private direct(action: (fd: number, memory: Mapping, offset: number) => void): void {
    const fd = fs.openSync(this.path, fs.constants.O_RDWR | fs.constants.O_DIRECT);
    const memory = Mapping.ofMemory(BLOCK);
    action(fd, memory, this.random(SIZE_MAX / BLOCK) * BLOCK);
    memory.unmap();
    fs.closeSync(fd);
  }

  private directRead(): void {
    this.direct((fd, memory, offset) => {
      this.note('direct read', offset, BLOCK);
      const count = call('pread64', fd, memory.address, BLOCK, offset);
      const expected = Math.max(0, Math.min(BLOCK, this.copy.length - offset));
      this.check(memory.read(0, count), offset, expected);
    });
  }

  private directWrite(): void {
    this.direct((fd, memory, offset) => {
      this.note('direct write', offset, BLOCK);
      const bytes = Buffer.alloc(BLOCK, 1 + this.random(255));
      memory.write(0, bytes);
      call('pwrite64', fd, memory.address, BLOCK, offset);
      this.grow(offset + BLOCK);
      bytes.copy(this.copy, offset);
    });
  }

  private copyWithin(): void {
    const [from, length] = this.range();
    const to = from >= length ? 0 : from + length;
    if (length === 0 || to + length > SIZE_MAX) return;
    this.note(`copy to ${to}`, from, length);
    assert.equal(copyRange(this.fd(), from, this.fd(), to, length), length);
    this.grow(to + length);
    this.copy.copyWithin(to, from, from + length);
  }

  private reopen(): void {
    this.note('reopen', 0, 0);
    if (this.random(2)) {
      fs.fsyncSync(this.fds[0]);
      call('fadvise64', this.fds[0], 0, 0, FADV_DONTNEED);
    }
    for (const fd of this.fds) fs.closeSync(fd);
    this.fds = this.open();
  }
}
