/** Reads files of an image that are named by their digest, and verifies their bytes before use. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import type { ImageFiles } from './image-files.ts';
import { badArchive } from './tar/header.ts';

/** A reference to a blob, as in the OCI specification. */
export interface Descriptor {
  readonly digest: string;
  readonly size?: number;
  readonly mediaType?: string;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The kind of machine that an image is for. */
export interface Platform {
  readonly architecture?: string;
  readonly os?: string;
  readonly variant?: string;
}

/** Digests of the algorithms that the specification registers. */
const DIGEST = /^(?:(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128}))$/;
const JSON_MAX = 2 ** 22;
/** The hint for a damaged image. */
export const COPY_AGAIN = 'Copy the image again.';

interface Digest {
  readonly algorithm: string;
  readonly hex: string;
}

/** Parses a digest. @throws ByrefError 'badInput' for anything else */
function parseDigest(digest: string): Digest {
  const [, sha256, short, sha512, long] = DIGEST.exec(digest) ?? [];
  const algorithm = sha256 ?? sha512;
  if (algorithm !== undefined) return { algorithm, hex: (short ?? long)! };
  throw badArchive(`the image names a blob by "${digest}", not by SHA-256`);
}

/** Returns a blob's path after its bytes were verified against the descriptor. @throws ByrefError 'badInput' */
export async function verifiedBlob(
  files: ImageFiles,
  { digest, size }: Descriptor,
): Promise<string> {
  const { algorithm, hex } = parseDigest(digest);
  const file = files.find(`blobs/${algorithm}/${hex}`);
  if (file === null) throw unreadable(files, digest, new Error('there is no such blob'));
  await verifyFile(files, file, digest);
  if (size === undefined || statSync(file).size === size) return file;
  throw badArchive(`${files.at}: blob ${digest} has another size than the image says`);
}

/** Verifies a file's bytes against a digest. @throws ByrefError 'badInput' if they differ */
export async function verifyFile(files: ImageFiles, file: string, digest: string): Promise<void> {
  const check = new DigestCheck(digest);
  try {
    for await (const piece of createReadStream(file)) check.update(piece as Buffer);
  } catch (cause) {
    throw unreadable(files, digest, cause);
  }
  const found = check.found();
  if (found === digest) return;
  throw badArchive(`${files.at}: blob ${digest} is damaged or truncated: it has ${found}`);
}

/** Computes the digest of bytes while they pass by. */
export class DigestCheck {
  private readonly algorithm: string;
  private readonly hash: Hash;

  constructor(digest: string) {
    this.algorithm = parseDigest(digest).algorithm;
    this.hash = createHash(this.algorithm);
  }

  update(bytes: Buffer): void {
    this.hash.update(bytes);
  }

  /** Returns the digest of all bytes so far. */
  found(): string {
    return `${this.algorithm}:${this.hash.digest('hex')}`;
  }

  async *through(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of stream) {
      this.update(piece);
      yield piece;
    }
  }
}

/** Reads a JSON file. @param name for messages @throws ByrefError 'badInput' if it is not JSON, or too large */
export function readJson(files: ImageFiles, file: string, name: string): unknown {
  try {
    if (statSync(file).size > JSON_MAX) throw new Error('too large');
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new ByrefError('badInput', `${files.at}: ${name} is not JSON`, COPY_AGAIN, { cause });
  }
}

function unreadable(files: ImageFiles, digest: string, cause: unknown): ByrefError {
  return new ByrefError('badInput', `${files.at}: blob ${digest} can't be read`, COPY_AGAIN, {
    cause,
  });
}
