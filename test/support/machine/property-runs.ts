/** One for all runs of the suite, which so finds what a change broke, and nothing else. */
const SUITE_SEED = 2_040_419_986;

/**
 * How often fast-check tries a property, and from which seed: `runs` times the same in the suite. FC_RUNS (scripts/soak.sh)
 * asks for more runs, which look for something new; FC_SEED repeats one of those.
 */
export function propertyRuns(runs: number): { readonly numRuns: number; readonly seed?: number } {
  const { FC_RUNS, FC_SEED } = process.env;
  if (FC_SEED) return { numRuns: Number(FC_RUNS ?? runs), seed: Number(FC_SEED) };
  return FC_RUNS ? { numRuns: Number(FC_RUNS) } : { numRuns: runs, seed: SUITE_SEED };
}
