import { defineConfig } from 'vitest/config';
import { SlowFirst } from './test/sequence/slow-first.ts';

/** Tests mount file systems and start processes: few at a time, each with time to clean up. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // More than cores: half of the time a test waits, for a disk, a program, or a process that ends.
    maxWorkers: 3,
    sequence: { sequencer: SlowFirst },
    // For what hangs: what merely waits for a busy machine is not to fail.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 15_000,
    expect: { poll: { timeout: 30_000 } },
    // What a test says belongs to its failure, not between the lines of the others.
    silent: 'passed-only',
    reporters: [['default', { summary: false }], './test/reporter/closing-line.ts'],
  },
});
