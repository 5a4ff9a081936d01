import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** A process of a test's own that has a root's writer role, until it is told to let go. */
export class HeldLock {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async take(root: string): Promise<HeldLock> {
    const file = path.join(root, 'meta/writer.lock');
    const script = 'exec 9>>"$1"; flock 9; echo $$ >"$1"; echo held; read -r _';
    const child = spawn('bash', ['-c', script, 'holder', file], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    return new HeldLock(child);
  }

  get pid(): number {
    return this.child.pid!;
  }

  async release(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const closed = once(this.child, 'close');
    this.child.stdin?.end('\n');
    await closed;
  }
}
