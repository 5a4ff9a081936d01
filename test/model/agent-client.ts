import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Request } from './agent.ts';
import type { Operation, Outcome } from './operation.ts';
import type { NameSnapshot } from './snapshot.ts';

const AGENT = new URL('./agent.ts', import.meta.url).pathname;
const ANSWER_WITHIN_MS = 30_000;

/** The one process that does a history's steps on the file system under test. */
export class Agent {
  private readonly child: ChildProcess;
  private readonly waiting: ((outcome: Outcome) => void)[] = [];

  constructor() {
    this.child = spawn(process.execPath, ['--import', 'tsx', AGENT], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.waiting.shift()?.(JSON.parse(line) as Outcome);
    });
  }

  do(dir: string, step: Operation): Promise<Outcome> {
    return this.request({ dir, step });
  }

  async snapshot(dir: string): Promise<NameSnapshot[]> {
    const outcome = await this.request({ dir, snapshot: true });
    if ('error' in outcome) throw new Error(`snapshot of ${dir}: ${outcome.error}`);
    return outcome.value as NameSnapshot[];
  }

  private request(request: Request): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no answer to ${JSON.stringify(request)}`));
      }, ANSWER_WITHIN_MS);
      this.waiting.push((outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      });
      this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    });
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.child.once('exit', () => resolve());
      this.child.stdin!.end();
    });
  }
}
