/**
 * Keeps the files of an env that say what its network gives it: /etc/hostname, hosts and resolv.conf. They are the env's own files, so what
 * is done to them inside works as anywhere. byref changes one only while it is as byref wrote it last, which `envs/ID/managed.json` says; in
 * hosts, only the line with the env's name. ADR 30 says why they are not mounted.
 */
import { existsSync, lstatSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import { readInRoot, replaceInRoot } from '../../base/in-root.ts';
import type { ManagedFile } from '../../codec/env-settings.ts';
import { envDir } from '../../store/store.ts';
import { hostnameOf, hostsText, OWN_ADDRESS, ownLine } from './first-mount/identity.ts';
import { resolverText } from './network/resolver.ts';

/** An env whose files are kept; it is mounted writable. */
export interface KeptEnv {
  readonly root: string;
  readonly env: { readonly id: number; readonly name: string };
  readonly mountpoint: string;
  readonly files: readonly ManagedFile[];
  /** Hears, in sentences, which file is the env's own from now on. */
  readonly note: (text: string) => void;
}

/** What an env's network gives it. */
export interface GivenNetwork {
  /** null: the env has none of its own. */
  readonly address: string | null;
  readonly resolver: string;
}

/** What there is on the machine, without a network of the env's own. */
export const machineNetwork = (): GivenNetwork => ({ address: null, resolver: resolverText() });

/** What byref wrote to a file: two texts if it may have been killed in between. Of hosts, only the line. */
type Written = readonly string[];

/** `managed.json`. A file that is not in it was not written by this byref. */
interface Note {
  readonly written: Partial<Record<ManagedFile, Written>>;
  /** Files that were changed in the env, and that this was said of. */
  readonly own: readonly ManagedFile[];
}

/** The name of the note in an env's directory. */
export const MANAGED_NOTE = 'managed.json';
const NOTHING: Note = { written: {}, own: [] };
/** What `create --hostname` said is not changed when the env is renamed. */
const OWN_HOSTNAME = ['hostname'] as const;
const TEXT_MAX = 2 ** 20;
/** Files of which the tree of an operating system has at least one, and no other tree has any. */
const SYSTEM_FILES = ['/etc/os-release', '/etc/passwd', '/usr/lib/os-release'];

/** True for the tree of a system: nothing in another one would read these files. */
export const isSystem = (mountpoint: string): boolean =>
  SYSTEM_FILES.some(
    (file) => lstatSync(mountpoint + file, { throwIfNoEntry: false }) !== undefined,
  );

/**
 * Gives an env its identity at its first mount, whatever the templates have.
 * @param hostname what people want it to be, which is theirs from then on; null: made from its name
 */
export function writeFirst(kept: KeptEnv, hostname: string | null): void {
  const { root, env, mountpoint } = kept;
  const before = noteOf(root, env.id) ?? NOTHING;
  const name = hostname ?? hostnameOf(env.name);
  const line = ownLine(OWN_ADDRESS, name);
  const text = `${name}\n`;
  writeNote(root, env.id, {
    own: [
      ...before.own.filter((each) => each !== 'hostname'),
      ...(hostname === null ? [] : OWN_HOSTNAME),
    ],
    written: {
      ...before.written,
      hostname: hostname === null ? [text] : [],
      hosts: [...(before.written.hosts ?? []), line],
    },
  });
  put(mountpoint, 'hostname', text);
  const hosts = textOf(mountpoint, 'hosts') ?? '';
  const next = withLine(hosts, before.written.hosts ?? [], line) ?? hostsText(hosts, line);
  put(mountpoint, 'hosts', next);
}

/**
 * Writes resolv.conf at the first mount. A symlink stays: a service of the system's own provides the file. So does what was changed in
 * the env of which this one is a clone.
 */
export function writeFirstResolver(kept: KeptEnv): void {
  const { root, env, mountpoint } = kept;
  const text = resolverText();
  if (noteOf(root, env.id)?.written['resolv.conf'] !== undefined) {
    keep(kept, 'resolv.conf', text);
    return;
  }
  if (textOf(mountpoint, 'resolv.conf') === null) return;
  const before = noteOf(root, env.id) ?? NOTHING;
  writeNote(root, env.id, { ...before, written: { ...before.written, 'resolv.conf': [text] } });
  put(mountpoint, 'resolv.conf', text);
}

/** Brings hostname up to date: the env may have another name now. Returns the host name that it has. */
export function keepHostname(kept: KeptEnv): string {
  const { env, mountpoint } = kept;
  if (isSystem(mountpoint)) keep(kept, 'hostname', `${hostnameOf(env.name)}\n`);
  return hostnameIn(mountpoint, env.name);
}

/** Brings hosts and resolv.conf up to date. */
export function keepFiles(kept: KeptEnv, { address, resolver }: GivenNetwork): void {
  const { env, mountpoint } = kept;
  if (!isSystem(mountpoint)) return;
  keep(kept, 'hosts', ownLine(address ?? OWN_ADDRESS, hostnameIn(mountpoint, env.name)));
  keep(kept, 'resolv.conf', resolver);
}

/** Returns the host name that the env's own file has. */
function hostnameIn(mountpoint: string, name: string): string {
  const lines = (textOf(mountpoint, 'hostname') ?? '').split('\n').map((line) => line.trim());
  return lines.find((line) => line !== '' && !line.startsWith('#')) ?? hostnameOf(name);
}

/**
 * Writes one file, if it is to be kept and is as byref wrote it, or is not there. The note comes first: after a kill between, the file is
 * known either way.
 * @param wanted its content; of hosts, the line
 */
function keep(kept: KeptEnv, file: ManagedFile, wanted: string): void {
  const { root, env, mountpoint, files } = kept;
  if (!files.includes(file)) return;
  const now = textOf(mountpoint, file);
  if (now === null) return;
  const note = noteOf(root, env.id) ?? NOTHING;
  const written = note.written[file] ?? writtenBefore(file, env.name);
  const next = file === 'hosts' ? hostsWith(now, written, wanted) : whole(now, written, wanted);
  if (next === null) {
    leaveTo(kept, file, note);
    return;
  }
  if (next === now && written.length === 1 && note.written[file] !== undefined) return;
  const others = note.own.filter((each) => each !== file);
  const last = written.filter((text) => now === text || now.split('\n').includes(text));
  const both = [...new Set([...last, wanted])];
  writeNote(root, env.id, { own: others, written: { ...note.written, [file]: both } });
  failpoint('managed-noted');
  if (next !== now) put(mountpoint, file, next);
  writeNote(root, env.id, { own: others, written: { ...note.written, [file]: [wanted] } });
}

/** What an older byref wrote at the first mount, without a note. */
function writtenBefore(file: ManagedFile, name: string): Written {
  const hostname = hostnameOf(name);
  if (file === 'hostname') return [`${hostname}\n`];
  return file === 'hosts' ? [ownLine(OWN_ADDRESS, hostname)] : [resolverText()];
}

/** Returns what a file is to be; null if it is the env's own. One that was emptied, or removed, has nothing to lose. */
const whole = (now: string, written: Written, wanted: string): string | null =>
  now === '' || written.includes(now) ? wanted : null;

const hostsWith = (now: string, written: Written, line: string): string | null =>
  now.trim() === '' ? hostsText('', line) : withLine(now, written, line);

/** Returns the text with the line in place of the one that was written before; null if that is not there. */
function withLine(text: string, written: Written, line: string): string | null {
  const lines = text.split('\n');
  const at = lines.findIndex((each) => written.includes(each));
  return at < 0 ? null : lines.with(at, line).join('\n');
}

function leaveTo({ root, env, note: say }: KeptEnv, file: ManagedFile, note: Note): void {
  if (note.own.includes(file)) return;
  writeNote(root, env.id, { ...note, own: [...note.own, file] });
  say(
    `/etc/${file} of ${env.name} was changed in it, and is left so; byref writes it again once it is removed`,
  );
}

/** Returns the text of a file; '' if it is not there; null if it is no regular file, as a symlink that a service of the env made. */
function textOf(mountpoint: string, file: ManagedFile): string | null {
  try {
    const found = readInRoot(mountpoint, `/etc/${file}`, TEXT_MAX);
    if (found === undefined) return '';
    return Buffer.isBuffer(found) ? found.toString('latin1') : null;
  } catch (error) {
    if (error instanceof ByrefError && error.code === 'badInput') return null;
    throw error;
  }
}

function put(mountpoint: string, file: ManagedFile, text: string): void {
  replaceInRoot(mountpoint, `/etc/${file}`, (at) => {
    writeFileSync(at, text, { encoding: 'latin1', mode: 0o644, flag: 'wx' });
  });
}

const fileOf = (root: string, env: number): string => path.join(envDir(root, env), MANAGED_NOTE);

function noteOf(root: string, env: number): Note | null {
  const file = fileOf(root, env);
  try {
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Note) : null;
  } catch {
    // The machine lost power meanwhile: what the files have is the env's own then.
    return { written: { hostname: [], hosts: [], 'resolv.conf': [] }, own: [] };
  }
}

function writeNote(root: string, env: number, note: Note): void {
  const file = fileOf(root, env);
  writeFileSync(`${file}.new`, JSON.stringify(note), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
