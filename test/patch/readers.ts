import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Probe } from '../support/trees/flip-trees.ts';

const SOURCE = path.join(import.meta.dirname, 'reader.c');
const STOP = 0xffffffff;

/** What may be seen now: see reader.c. */
export const PHASES = { old: 0, forwards: 1, new: 2, back: 3 } as const;

export interface Seen {
  readonly rounds: number;
  readonly old: number;
  readonly new: number;
  readonly wrong: number;
}

/** The compiled reader, made once per change of its source. */
export function readerProgram(): string {
  const stamp = statSync(SOURCE).mtimeMs.toString(36);
  const program = path.join(tmpdir(), `byref-reader-${stamp}`);
  if (!existsSync(program)) {
    const own = `${program}.${process.pid}`;
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', own, SOURCE]);
    execFileSync('mv', [own, program]);
  }
  return program;
}

/** Reader processes on mounted envs, and what they are told of the patches that go on. */
export class Readers {
  private readonly control: string;
  private readonly list: string;
  private readonly children: { process: ChildProcess; output: string }[] = [];
  private phase = 0;

  /** @param dir for its files; @param oldDir, newDir the two versions, on a plain file system */
  constructor(dir: string, all: readonly Probe[], oldDir: string, newDir: string) {
    this.control = path.join(dir, 'control');
    this.list = path.join(dir, 'probes');
    const bare = all.map(({ kind, path: name }) => `${kind} ${name} - -\n`).join('');
    writeFileSync(this.list, bare);
    const describe = (root: string): string[] =>
      execFileSync(readerProgram(), ['--describe', this.list, root], { encoding: 'utf8' })
        .trimEnd()
        .split('\n');
    const [before, after] = [describe(oldDir), describe(newDir)];
    const lines = all.map(
      ({ kind, path: name }, i) => `${kind} ${name} ${before[i]} ${after[i]}\n`,
    );
    writeFileSync(this.list, lines.join(''));
    this.write();
  }

  /** `count` processes share the mounts; one mount is read by all of them. */
  start(mounts: readonly string[], count: number): void {
    for (let i = 0; i < count; i++) {
      const own = mounts.length < count ? mounts : mounts.filter((_, m) => m % count === i);
      const child = spawn(readerProgram(), [this.control, this.list, ...own], {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: '/',
      });
      const reader = { process: child, output: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        reader.output += text;
      });
      this.children.push(reader);
    }
  }

  /** The next phase begins. @param of 0..3, as a check that the test knows where it is */
  next(of: (typeof PHASES)[keyof typeof PHASES]): void {
    this.phase++;
    if (this.phase % 4 !== of) throw new Error(`phase ${this.phase} is not ${of} of 4`);
    this.write();
  }

  /** Ends them; what they saw together, and every line that one of them printed about something wrong. */
  async stop(): Promise<{ seen: Seen; complaints: string[] }> {
    this.write(STOP);
    const seen = { rounds: 0, old: 0, new: 0, wrong: 0 };
    const complaints: string[] = [];
    for (const { process: child } of this.children) {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    }
    for (const { output } of this.children) {
      const lines = output.trimEnd().split('\n');
      const counts = JSON.parse(lines.pop() ?? '{}') as Seen;
      for (const key of ['rounds', 'old', 'new', 'wrong'] as const) seen[key] += counts[key];
      complaints.push(...lines);
    }
    return { seen, complaints };
  }

  private write(value = this.phase): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    if (!existsSync(this.control)) writeFileSync(this.control, bytes);
    // In place: the readers have it mapped.
    const fd = openSync(this.control, 'r+');
    writeSync(fd, bytes, 0, 4, 0);
    closeSync(fd);
  }
}
