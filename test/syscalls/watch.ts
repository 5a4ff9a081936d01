import fs from 'node:fs';
import { call, cString, type PathLike, rawCall } from './raw.ts';

export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_CLOSE_WRITE = 0x8;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;
const EVENT_HEADER = 16;

export interface WatchEvent {
  readonly mask: number;
  readonly cookie: number;
  readonly name: string;
}

/** An inotify instance. */
export class Watcher {
  readonly #fd = call('inotify_init1', IN_NONBLOCK | IN_CLOEXEC);

  watch(path: PathLike, mask: number): void {
    call('inotify_add_watch', this.#fd, cString(path), mask);
  }

  /** What happened since the last call. */
  events(): WatchEvent[] {
    const buffer = Buffer.alloc(65_536);
    const length = rawCall('read', this.#fd, buffer, buffer.length);
    const events: WatchEvent[] = [];
    for (let at = 0; at < length; ) {
      const nameLength = buffer.readUInt32LE(at + 12);
      const name = buffer.toString('latin1', at + EVENT_HEADER, at + EVENT_HEADER + nameLength);
      events.push({
        mask: buffer.readUInt32LE(at + 4),
        cookie: buffer.readUInt32LE(at + 8),
        name: name.replace(/\0+$/, ''),
      });
      at += EVENT_HEADER + nameLength;
    }
    return events;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
