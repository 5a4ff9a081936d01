import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** A command that runs on: what it has said so far, and its end. */
export class RunningCommand {
  stderr = '';
  private stdout = '';
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;

  constructor(file: string, words: readonly string[], env: NodeJS.ProcessEnv) {
    const child = spawn(file, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (text: Buffer) => {
      this.stdout += text.toString();
    });
    child.stderr.on('data', (text: Buffer) => {
      this.stderr += text.toString();
    });
    this.pid = child.pid!;
    this.ended = once(child, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  readonly pid: number;
}
