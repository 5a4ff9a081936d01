import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { output, run } from '../machine/program.ts';
import type { DebFile } from './deb.ts';

/** Files of this machine, as the content of a package: by path, with no link among the directories. */
export type MachineFiles = Record<string, DebFile>;

/** `/bin/ls` as `/usr/bin/ls`, where `/bin` is a link; the last component stays what it is. */
const settled = (file: string): string =>
  path.join(realpathSync(path.dirname(file)), path.basename(file));

/** Where a program is. @throws if this machine has none of the name */
export function programPath(name: string): string {
  const found = ['/usr/bin', '/usr/sbin', '/bin', '/sbin']
    .map((directory) => path.join(directory, name))
    .find(existsSync);
  if (found === undefined) throw new Error(`this machine has no ${name}`);
  return settled(found);
}

/** Files, and what they link to. */
export function copies(files: Iterable<string>): MachineFiles {
  const result: MachineFiles = {};
  for (const file of files) {
    let name = settled(file);
    while (lstatSync(name).isSymbolicLink()) {
      const symlink = readlinkSync(name);
      result[name] = { symlink };
      name = settled(path.resolve(path.dirname(name), symlink));
    }
    result[name] = { copy: name };
  }
  return result;
}

/** What an installed Debian package holds and this machine still has, but for paths that match `except`. */
export async function installed(debian: string, except: RegExp): Promise<MachineFiles> {
  const lines = (await output('dpkg-query', ['--listfiles', debian])).split('\n');
  const result: MachineFiles = {};
  for (const line of lines.filter((name) => /^\/[^.]/.test(name) && existsSync(name))) {
    const name = settled(line);
    if (except.test(name)) continue;
    const stat = lstatSync(name);
    if (stat.isDirectory()) result[name] = { directory: 0o755 };
    else if (stat.isSymbolicLink()) result[name] = { symlink: readlinkSync(name) };
    else result[name] = { copy: name };
  }
  return result;
}

/** The shared libraries, and the loader, that files need, as the loader finds them. */
export async function librariesOf(files: MachineFiles): Promise<string[]> {
  const copied = Object.values(files).flatMap((file) =>
    typeof file !== 'string' && 'copy' in file ? [file.copy] : [],
  );
  // Some are scripts or static: ldd says so, and goes on.
  const { stdout } = await run('ldd', copied);
  return [...new Set([...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]!))].sort();
}
