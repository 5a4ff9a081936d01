import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * What a test run leaves behind. Every run has its own TMPDIR; a mount below it, or a live process
 * whose environment names it, was left by a test of this run and by nobody else's.
 */
export class RunDirectory {
  readonly path: string;

  constructor() {
    this.path = mkdtempSync(path.join(tmpdir(), 'byref-test-'));
    // Tests act as other users too, who have to get through.
    chmodSync(this.path, 0o755);
    process.env['TMPDIR'] = this.path;
  }

  /** Mount points below the run directory, deepest last. */
  mounts(): string[] {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
    return lines
      .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
      .filter((mountpoint) => mountpoint.startsWith(`${this.path}/`));
  }

  /** Live processes started by this run's tests, as "pid command". */
  processes(): string[] {
    const own = ancestors(process.pid);
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry) && !own.has(Number(entry)))
      .filter((pid) => procFile(pid, 'environ').split('\0').includes(`TMPDIR=${this.path}`))
      .filter((pid) => isOrphan(Number(pid)))
      .map((pid) => `${pid} ${procFile(pid, 'cmdline').replaceAll('\0', ' ').trim()}`);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** A process that is still ours (vitest's own workers and tools) ends with us; only others leak. */
function isOrphan(pid: number): boolean {
  if (!isAlive(pid)) return false;
  return !ancestors(pid).has(process.pid);
}

function isAlive(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) !== '';
  } catch {
    return false;
  }
}

function ancestors(pid: number): Set<number> {
  const seen = new Set<number>();
  for (let at = pid; at > 0 && !seen.has(at); at = parentOf(at)) seen.add(at);
  return seen;
}

function parentOf(pid: number): number {
  const match = /^PPid:\s+(\d+)$/m.exec(procFile(String(pid), 'status'));
  return match ? Number(match[1]) : 0;
}

/** '' when the process is gone or not ours to read. */
function procFile(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\(\d{3})/g, (_all, digits: string) => String.fromCharCode(parseInt(digits, 8)));
