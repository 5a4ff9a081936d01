import { EXIT, type ExitName } from '../../src/base/exit-codes.ts';

/**
 * What came of one case. told: it was done, or refused with a sentence. signal: the process died. hang: nothing came. silent: it was
 * refused without a word. wrong: anything else, such as a stack trace.
 */
export type Outcome = 'told' | 'signal' | 'hang' | 'silent' | 'wrong';

/** Counts cases by class, and keeps some of those that are not 'told'. */
export class Outcomes {
  private readonly counts = new Map<Outcome, number>();
  private readonly kept: string[] = [];

  add(outcome: Outcome, what: () => string): void {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
    if (outcome !== 'told' && this.kept.length < 10) this.kept.push(`${outcome}: ${what()}`);
  }

  /** The counts, without 'told'. */
  get bad(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.counts].filter(([outcome]) => outcome !== 'told'));
  }

  /** For people: the counts, and cases to look at. */
  get text(): string {
    const classes: readonly Outcome[] = ['told', 'signal', 'hang', 'silent', 'wrong'];
    const counts = classes.map((each) => `${each} ${this.counts.get(each) ?? 0}`).join(', ');
    return [counts, ...this.kept].join('\n');
  }
}

const STACK = /^ {4}at |bug in byref/m;

/** True for a text with a stack in it, or that says that it is a bug. */
export const isStack = (text: string): boolean => STACK.test(text);

/** Judges one line that a control socket answered. */
export function outcomeOfReply(line: string): Outcome {
  try {
    const { ok, error } = JSON.parse(line) as {
      ok?: unknown;
      error?: { code?: string; message?: string; hint?: string };
    };
    if (ok === true) return 'told';
    const { code = '', message = '', hint = '' } = error ?? {};
    const isError = ok === false && Object.hasOwn(EXIT, code) && message !== '' && hint !== '';
    return isError && !isStack(message) && (code as ExitName) !== 'ok' ? 'told' : 'wrong';
  } catch {
    return 'wrong';
  }
}
