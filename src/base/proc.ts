/** Reads files below /proc. A process may end at any moment: then these functions return '' or nothing. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Returns a file's text, or ''. */
export function procText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Returns a link's target, or ''. */
export function procLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Returns the names in a directory, or none. */
export function procNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Returns true while a process has this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
