/** Reads below /proc, where a process may end at any moment: then these answer '' or nothing. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export function procText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function procLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

export function procNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** True while a process has this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
