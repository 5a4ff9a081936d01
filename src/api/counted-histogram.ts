/** A histogram whose buckets were counted elsewhere: prom-client's own only takes single observations. */
import type { Metric, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Takes the buckets of one set of labels. */
export interface CountedHistogram {
  /**
   * @param bounds the upper bounds of the buckets; one more bucket has the rest
   * @param counts how many fell into each bucket
   * @param sum of all that was observed
   */
  add(labels: Labels, bounds: readonly number[], counts: readonly number[], sum: number): void;
}

/** Adds a histogram to a registry. */
export function registerHistogram(
  registry: Registry,
  name: string,
  help: string,
): CountedHistogram {
  const values: Sample[] = [];
  const metric = {
    name,
    help,
    get: () => Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values }),
  };
  // The registry only asks a metric for its name and its values.
  registry.registerMetric(metric as unknown as Metric);
  return {
    add(labels, bounds, counts, sum) {
      let total = 0;
      counts.forEach((count, i) => {
        total += count;
        const le = bounds[i] ?? '+Inf';
        values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total });
      });
      values.push({ metricName: `${name}_sum`, labels, value: sum });
      values.push({ metricName: `${name}_count`, labels, value: total });
    },
  };
}
