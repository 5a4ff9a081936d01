/**
 * The types of the numbers and names by which everything else is keyed.
 *
 * An `Ino` is what stat shows: one number per file, the same across copy-up, rename, restart and
 * backup. A `NodeId` is the kernel's handle for an inode of ours. They are equal but for one bit: a template file
 * that was copied up while it was open by passthrough continues under a *second* nodeid, because the
 * kernel wants one backing file for all concurrent opens of a nodeid (docs/internals/ARCHITECTURE.md).
 *
 * All fit in 53 bits, so a JS number holds them exactly.
 */
import { bytesOfText, textOfBytes } from './text-bytes.ts';

declare const brand: unique symbol;

/** Inode number, 1 .. 2^52-1. Template inos are below PRIVATE_INO_BASE, env-private ones above. */
export type Ino = number & { readonly [brand]: 'Ino' };

/** The kernel's handle for an inode: `ino`, or `ino + SECOND_NODE` after a copy-up under readers. */
export type NodeId = number & { readonly [brand]: 'NodeId' };

/**
 * One path component, 1 to 255 bytes, as a "binary string": char code = byte value. Linux names are
 * bytes, not text; this keeps names that are not UTF-8 whole, and is still a fast Map key.
 */
export type Name = string & { readonly [brand]: 'Name' };

/**
 * A path, of names with slashes between them, as a binary string like Name: with a slash in front where it is
 * absolute. Paths as text (UTF-8) are plain strings.
 */
export type BytePath = string & { readonly [brand]: 'BytePath' };

/** SHA-256 of an object's bytes: 64 lower-case hex digits. */
export type ObjectId = string & { readonly [brand]: 'ObjectId' };

/** The root directory's ino, in every template and env; FUSE fixes the nodeid to 1 as well. */
export const ROOT_INO = 1 as Ino;

/** Inos from here up belong to one env (bit 51); below are template inos, unique in the store. */
export const PRIVATE_INO_BASE = 2 ** 51;

/** Added to an ino to make its second nodeid (bit 52). */
export const SECOND_NODE = 2 ** 52;

/** Returns true for an inode that one env made, false for a template's. */
export const isPrivateIno = (ino: Ino): boolean => ino >= PRIVATE_INO_BASE;

/** Returns the inode that a nodeid stands for. */
export const inoOf = (node: NodeId): Ino =>
  (node >= SECOND_NODE ? node - SECOND_NODE : node) as Ino;

/** The longest name that Linux file systems take, in bytes. */
export const NAME_MAX = 255;

/** Returns the name that these bytes are. */
export const nameFromBytes = (bytes: Uint8Array): Name =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as Name;

/** Turns a text from nameToText() back into the name. */
export const nameFromText = (text: string): Name => bytesOfText(text).toString('latin1') as Name;

/** Returns the name's bytes. */
export const nameToBytes = (name: Name): Buffer => Buffer.from(name, 'latin1');

/**
 * Returns the name as text; bytes that are not UTF-8 are escaped (./text-bytes.ts), so that nameFromText()
 * restores it.
 */
export const nameToText = (name: Name): string => textOfBytes(Buffer.from(name, 'latin1'));

/**
 * Returns a path as text, escaped as by nameToText().
 * @param path a BytePath; or a binary string that was read from a list of paths
 */
export const pathToText = (path: BytePath | string): string =>
  textOfBytes(Buffer.from(path, 'latin1'));

/** Turns a text from pathToText() back into the path. */
export const pathFromText = (text: string): BytePath =>
  bytesOfText(text).toString('latin1') as BytePath;

/** Returns the path of a name in a directory. @param dir '' for the root */
export const joinPath = (dir: BytePath | '', name: Name): BytePath => `${dir}/${name}` as BytePath;
