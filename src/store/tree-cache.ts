/** Caches one StackTree per distinct stack and one TemplateView per (template, version), which all envs share. */
import { createHash } from 'node:crypto';
import { heapShare } from '../base/heap-share.ts';
import type { TreeDiff } from '../driver/core/tree-diff.ts';
import { diffStacks } from './diff-stacks.ts';
import { RowBudget } from './row-budget.ts';
import { StackTree } from './stack-tree.ts';
import type { Tables } from './tables.ts';
import { TemplateView } from './template-view.ts';

/** One template of a stack, at the version that is seen. */
export interface StackRef {
  readonly templateId: number;
  readonly version: number;
  /** Set for the composition of the rest of the stack (src/store/compositions.ts), which lies on top of it. */
  readonly composition?: true;
}

/** How many decoded rows a process keeps at most; ROW_BYTES is about what each takes. */
const CACHED_ROWS_MAX = 200_000;
const ROW_BYTES = 400;
/** The part of the heap that they may take. */
const ROWS_PART = 0.2;
/** How many stacks and versions are kept for the next env; those in use live on when they are dropped here. */
const KEPT_MAX = 256;
/** How many tree diffs are kept: enough for those of a patch and of its rollback. */
const CHANGES_MAX = 64;
/** How many hex digits of a hash make a stamp: 48 bits. */
const STAMP_DIGITS = 12;

/** The lower trees, and the differences between them, that a process has read. */
export class TreeCache {
  private readonly tables: Tables;
  private readonly budget = new RowBudget(
    Math.min(CACHED_ROWS_MAX, heapShare(ROWS_PART, ROW_BYTES)),
  );
  private readonly views = new Map<string, TemplateView>();
  private readonly stacks = new Map<string, StackTree>();
  private readonly changes = new Map<string, TreeDiff>();

  constructor(tables: Tables) {
    this.tables = tables;
  }

  /** Returns the lower tree of a stack. @param stack bottom first */
  lowerTree(stack: readonly StackRef[]): StackTree {
    const key = stack.map(refKey).join(' ');
    return keep(this.stacks, key, () => {
      const topmostFirst = stack.map((ref) => this.view(ref)).reverse();
      return new StackTree(this.tables, stampOf(key), topmostFirst);
    });
  }

  /** Returns the tree diff between two stacks. */
  change(from: readonly StackRef[], to: readonly StackRef[]): TreeDiff {
    const key = [from, to].map((stack) => stack.map(refKey).join(' ')).join(' > ');
    return keep(
      this.changes,
      key,
      () => {
        const side = (stack: readonly StackRef[]) => ({ stack, lower: this.lowerTree(stack) });
        return diffStacks(this.tables, side(from), side(to));
      },
      CHANGES_MAX,
    );
  }

  private view(ref: StackRef): TemplateView {
    return keep(this.views, refKey(ref), () => {
      return new TemplateView(this.tables, this.budget, ref.templateId, ref.version);
    });
  }
}

/** Returns a version as a key: "3@2". */
export const refKey = ({ templateId, version }: StackRef): string => `${templateId}@${version}`;

/** Returns a number for a stack that is the same in every process and after a restart: link tables store it. */
function stampOf(key: string): number {
  const digest = createHash('sha256').update(key).digest('hex');
  return Number.parseInt(digest.slice(0, STAMP_DIGITS), 16) || 1;
}

function keep<T>(map: Map<string, T>, key: string, make: () => T, max = KEPT_MAX): T {
  let value = map.get(key);
  if (value !== undefined) return value;
  value = make();
  if (map.size >= max) {
    const oldest = map.keys().next();
    if (!oldest.done) map.delete(oldest.value);
  }
  map.set(key, value);
  return value;
}
