/** A stream that is read in pieces of any wanted size. */
export class ByteSource {
  private readonly chunks: AsyncIterator<Buffer>;
  private buffer: Buffer = Buffer.alloc(0);
  private at = 0;
  /** How many bytes were handed out so far. */
  consumed = 0;

  constructor(stream: AsyncIterable<Buffer>) {
    this.chunks = stream[Symbol.asyncIterator]();
  }

  /** Reads exactly `length` bytes, valid until the next call; null if the stream has fewer left. */
  async read(length: number): Promise<Buffer | null> {
    if (this.available < length) {
      const bytes = Buffer.allocUnsafeSlow(length);
      return (await this.readInto(bytes)) ? bytes : null;
    }
    return this.take(length);
  }

  /** Fills `target`; returns false if the stream ends before. */
  async readInto(target: Buffer): Promise<boolean> {
    let length = 0;
    while (length < target.length) {
      const piece = await this.some(target.length - length);
      if (piece === null) return false;
      piece.copy(target, length);
      length += piece.length;
    }
    return true;
  }

  /** Returns the bytes at hand, up to `max`; null at the end. */
  async some(max: number): Promise<Buffer | null> {
    while (this.available === 0) {
      const next = await this.chunks.next();
      if (next.done === true) return null;
      this.buffer = next.value;
      this.at = 0;
    }
    return this.take(Math.min(max, this.available));
  }

  /** Skips bytes; returns false if the stream ends before. */
  async skip(length: number): Promise<boolean> {
    for (let left = length; left > 0; ) {
      const piece = await this.some(left);
      if (piece === null) return false;
      left -= piece.length;
    }
    return true;
  }

  private get available(): number {
    return this.buffer.length - this.at;
  }

  private take(length: number): Buffer {
    const bytes = this.buffer.subarray(this.at, this.at + length);
    this.at += length;
    this.consumed += length;
    return bytes;
  }
}
