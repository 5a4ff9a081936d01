/** The options of `create` that say what to do when an env is first mounted. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ByrefError } from '../base/error.ts';
import { isHostname } from '../manager/envs/first-mount/identity.ts';
import {
  type FileToPut,
  type FirstMount,
  NOTHING_TOLD,
} from '../manager/envs/first-mount/setup.ts';
import { append } from './repeated.ts';

/** The options as commander parses them. */
export interface FirstMountOptions {
  readonly hostname?: string;
  readonly sshKey?: readonly string[];
  readonly passwordHash?: string;
  readonly file?: readonly string[];
  readonly runOnce?: readonly string[];
}

/** Adds the options to a command. */
export const firstMountOptions = (command: Command): Command =>
  command
    .option('--hostname <name>', 'its host name (the env’s); with --count, %d is the number')
    .option<readonly string[]>(
      '--ssh-key <key>',
      'a public key, or a file of them, that may log in as root; may be repeated',
      append,
    )
    .option('--password-hash <hash>', 'root’s password, as `openssl passwd -6` prints it')
    .option<readonly string[]>(
      '--file <src:dst>',
      'put a copy of the host’s file SRC there as DST; may be repeated',
      append,
    )
    .option<readonly string[]>(
      '--run-once <command>',
      'run in it, confined, when it is first mounted; may be repeated',
      append,
    );

/** Returns what the options say; NOTHING_TOLD itself if none is given. @throws ByrefError 'usage', 'badInput' */
export function firstMountOf(options: FirstMountOptions): FirstMount {
  const { hostname = null, sshKey = [], passwordHash = null, file = [], runOnce = [] } = options;
  const lists = [sshKey, file, runOnce];
  if (hostname === null && passwordHash === null && lists.every(({ length }) => length === 0)) {
    return NOTHING_TOLD;
  }
  if (hostname !== null) checkHostname(hostname.replace(/%(?:0\d{1,2})?d/, '1'));
  if (passwordHash !== null) checkHash(passwordHash);
  return {
    hostname,
    sshKeys: sshKey.flatMap(keysOf),
    passwordHash,
    files: file.map(fileOf),
    runOnce,
  };
}

function checkHostname(hostname: string): void {
  if (isHostname(hostname)) return;
  const hint = 'Use letters, digits and hyphens, with dots between, up to 64 characters.';
  throw new ByrefError('usage', `"${hostname}" is no host name`, hint);
}

/**
 * Refuses anything but a hash as crypt(5) makes them, or a value with which nobody can log in: a plain password
 * must not be given here.
 */
function checkHash(hash: string): void {
  if (/^(?:!?\$[A-Za-z0-9]+\$[^:\s]+|[!*])$/.test(hash)) return;
  const message = '--password-hash is no hash as shadow(5) has them';
  throw new ByrefError('usage', message, 'Make one: openssl passwd -6, or mkpasswd; or give *.');
}

const KEY = /^(?:\S.*\s)?(?:ssh-|ecdsa-|sk-)\S+\s+[A-Za-z0-9+/]{16,}={0,2}(?:\s.*)?$/;

/** Returns a key as it is, or those in a file. */
function keysOf(text: string): string[] {
  if (KEY.test(text)) return [text];
  const hint =
    'Give a public key (ssh-ed25519 AAAA...), or the file that it is in (id_ed25519.pub)';
  if (!statSync(text, { throwIfNoEntry: false })?.isFile()) {
    throw new ByrefError('badInput', `"${text}" is neither a public key nor a file`, hint);
  }
  const lines = readFileSync(text, 'latin1')
    .split('\n')
    .map((line) => line.trim());
  const keys = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (keys.length > 0 && keys.every((key) => KEY.test(key))) return keys;
  throw new ByrefError('badInput', `${text} has no public keys, or something else too`, hint);
}

function fileOf(text: string): FileToPut {
  const colon = text.lastIndexOf(':');
  const [source, place] = [text.slice(0, colon), text.slice(colon + 1)];
  if (colon < 1 || !place.startsWith('/')) {
    const hint = 'Write SRC:DST, DST absolute, as ./motd:/etc/motd.';
    throw new ByrefError('usage', `--file ${text} does not say what goes where`, hint);
  }
  const target = place.endsWith('/') ? place + path.basename(source) : place;
  return { source: path.resolve(source), target: path.posix.normalize(target) };
}
