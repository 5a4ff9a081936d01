import { expect, it } from 'vitest';
import { type CachedRows, RowBudget } from '../../src/store/row-budget.ts';

class Rows implements CachedRows {
  used = false;
  rows = 0;
  evict(): void {
    this.rows = 0;
  }
}

it('rows are given up when there are too many, those in use last', () => {
  const budget = new RowBudget(100);
  const all = Array.from({ length: 50 }, () => new Rows());
  const hot = all[0]!;
  for (const rows of all) {
    hot.used = true;
    for (let i = 0; i < 10; i++) {
      budget.charge(rows, 1, rows.rows === 0);
      rows.rows++;
    }
    expect(all.reduce((sum, { rows: n }) => sum + n, 0)).toBeLessThanOrEqual(100);
  }
  expect(hot.rows).toBe(10);
  expect(all.at(-1)?.rows).toBe(10);
  expect(all[20]?.rows).toBe(0);
});
