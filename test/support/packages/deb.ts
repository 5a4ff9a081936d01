import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { output } from '../machine/program.ts';

/** Seconds since 1970 that everything in a package, and the first state of a repository, has as its time. */
export const EPOCH = 1_704_067_200;

/** A Debian package, described: the same description makes the same bytes. */
export interface DebDescription {
  readonly name: string;
  readonly version: string;
  /** 'all' fits every machine; without it the package is for this machine's architecture. */
  readonly arch?: 'all';
  /** As in a control file: `greeter-data (>= 1.0)`. */
  readonly depends?: readonly string[];
  readonly preDepends?: readonly string[];
  readonly conflicts?: readonly string[];
  readonly breaks?: readonly string[];
  readonly provides?: readonly string[];
  readonly replaces?: readonly string[];
  readonly essential?: true;
  readonly priority?: 'required' | 'optional';
  /** By absolute path. Directories above need no entry: they are root's, 0755. */
  readonly files: Readonly<Record<string, DebFile>>;
  /** Bodies of shell scripts that end at the first failure. */
  readonly scripts?: Readonly<Partial<Record<MaintainerScript, string>>>;
  /** Paths in `files` that dpkg doesn't overwrite once an administrator changed them. */
  readonly conffiles?: readonly string[];
}

export type MaintainerScript = 'preinst' | 'postinst' | 'prerm' | 'postrm';

/**
 * A text is a file, 0755 if it begins with `#!`, otherwise 0644. `copy` is a file of this machine, with
 * its mode; `hardLink` another path of the same package.
 */
export type DebFile =
  | string
  | { readonly text: string; readonly mode: number }
  | { readonly copy: string; readonly mode?: number }
  | { readonly directory: number }
  | { readonly symlink: string }
  | { readonly hardLink: string };

let architecture: Promise<string> | undefined;

/** What dpkg calls this machine: `amd64`. */
export function nativeArchitecture(): Promise<string> {
  architecture ??= output('dpkg', ['--print-architecture']).then((line) => line.trim());
  return architecture;
}

/** Builds a package into a directory; the .deb's path. @throws if dpkg-deb finds it malformed */
export async function buildDeb(deb: DebDescription, directory: string): Promise<string> {
  const arch = deb.arch ?? (await nativeArchitecture());
  // A version's epoch is not part of a file's name.
  const version = deb.version.replace(/^\d+:/, '');
  const file = path.join(directory, `${deb.name}_${version}_${arch}.deb`);
  const tree = mkdtempSync(path.join(directory, 'tree-'));
  chmodSync(tree, 0o755);
  try {
    layFiles(deb, tree);
    layControl(deb, arch, tree);
    // Not compressed: they are written and read once, by this machine.
    await output('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, file], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(EPOCH) },
    });
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
  return file;
}

function layFiles({ files }: DebDescription, tree: string): void {
  const entries = Object.entries(files);
  const isLink = ([, entry]: [string, DebFile]): boolean =>
    typeof entry !== 'string' && 'hardLink' in entry;
  // A hard link comes after what it links to.
  for (const [name, entry] of entries.filter((pair) => !isLink(pair))) lay(tree, name, entry);
  for (const [name, entry] of entries.filter(isLink)) lay(tree, name, entry);
}

function lay(tree: string, name: string, entry: DebFile): void {
  const target = path.join(tree, name);
  directories(tree, path.dirname(target));
  if (typeof entry === 'string') {
    write(target, entry, entry.startsWith('#!') ? 0o755 : 0o644);
  } else if ('text' in entry) {
    write(target, entry.text, entry.mode);
  } else if ('copy' in entry) {
    copyFileSync(entry.copy, target);
    chmodSync(target, entry.mode ?? statSync(entry.copy).mode & 0o7777);
  } else if ('directory' in entry) {
    directories(tree, target);
    chmodSync(target, entry.directory);
  } else if ('symlink' in entry) {
    symlinkSync(entry.symlink, target);
  } else {
    linkSync(path.join(tree, entry.hardLink), target);
  }
}

/** Modes are set after creation, so that the process's umask has no part in them. */
function write(target: string, text: string, mode: number): void {
  writeFileSync(target, text);
  chmodSync(target, mode);
}

function directories(tree: string, directory: string): void {
  if (directory === tree || existsSync(directory)) return;
  directories(tree, path.dirname(directory));
  mkdirSync(directory);
  chmodSync(directory, 0o755);
}

function layControl(deb: DebDescription, arch: string, tree: string): void {
  const control = (name: string, text: string, mode = 0o644): void => {
    directories(tree, path.join(tree, 'DEBIAN'));
    write(path.join(tree, 'DEBIAN', name), text, mode);
  };
  // First, as it must not list the others.
  control('md5sums', checksums(deb, tree));
  control('control', controlText(deb, arch));
  if (deb.conffiles) control('conffiles', deb.conffiles.map((name) => `${name}\n`).join(''));
  for (const [name, body] of Object.entries(deb.scripts ?? {}))
    control(name, `#!/bin/sh\nset -e\n${body.trim()}\n`, 0o755);
}

/** What `dpkg --verify` compares with; of conffiles dpkg keeps its own. */
function checksums({ files, conffiles = [] }: DebDescription, tree: string): string {
  const hasData = (entry: DebFile): boolean =>
    typeof entry === 'string' || !('symlink' in entry || 'directory' in entry);
  return Object.entries(files)
    .filter(([name, entry]) => hasData(entry) && !conffiles.includes(name))
    .map(([name]) => `${md5(path.join(tree, name))}  ${name.slice(1)}\n`)
    .sort()
    .join('');
}

const md5 = (file: string): string => createHash('md5').update(readFileSync(file)).digest('hex');

function controlText(deb: DebDescription, arch: string): string {
  const fields: Record<string, string | undefined> = {
    Package: deb.name,
    Version: deb.version,
    Architecture: arch,
    Maintainer: 'byref tests <tests@byref.invalid>',
    Priority: deb.priority ?? 'optional',
    Essential: deb.essential && 'yes',
    'Pre-Depends': deb.preDepends?.join(', '),
    Depends: deb.depends?.join(', '),
    Conflicts: deb.conflicts?.join(', '),
    Breaks: deb.breaks?.join(', '),
    Provides: deb.provides?.join(', '),
    Replaces: deb.replaces?.join(', '),
    Description: `${deb.name}, for tests`,
  };
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}
