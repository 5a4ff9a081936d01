import { MAP_ANONYMOUS, MAP_PRIVATE, MS_SYNC, PROT_READ, PROT_WRITE } from './constants.ts';
import { call } from './raw.ts';

/** A mapped range of a file: reads and writes are loads and stores, page faults and all. */
export class Mapping {
  readonly address: number;
  readonly length: number;

  private constructor(address: number, length: number) {
    this.address = address;
    this.length = length;
  }

  /** `flags` is MAP_SHARED or MAP_PRIVATE. */
  static ofFile(fd: number, length: number, flags: number, protection = PROT_READ | PROT_WRITE) {
    return new Mapping(call('mmap', 0, length, protection, flags, fd, 0), length);
  }

  /** Page-aligned memory, for O_DIRECT. */
  static ofMemory(length: number): Mapping {
    const protection = PROT_READ | PROT_WRITE;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    return new Mapping(call('mmap', 0, length, protection, flags, -1, 0), length);
  }

  read(offset: number, length: number): Buffer {
    const out = Buffer.alloc(length);
    call('copy', out, this.address + offset, length);
    return out;
  }

  text(offset: number, length: number): string {
    return this.read(offset, length).toString('latin1');
  }

  write(offset: number, data: string | Buffer): void {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    call('copy', this.address + offset, bytes, bytes.length);
  }

  sync(): void {
    call('msync', this.address, this.length, MS_SYNC);
  }

  unmap(): void {
    call('munmap', this.address, this.length);
  }
}
