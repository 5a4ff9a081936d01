/** Of at least one number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)];
  const low = sorted[Math.ceil(middle) - 1];
  if (high === undefined || low === undefined) throw new Error('median of nothing');
  return (low + high) / 2;
}

/** Three significant digits, with the unit that fits. */
export function formatNs(ns: number): string {
  if (ns < 1e3) return `${digits(ns)} ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)} us`;
  if (ns < 1e9) return `${digits(ns / 1e6)} ms`;
  return `${digits(ns / 1e9)} s`;
}

export function formatBytes(bytes: number): string {
  const sign = bytes < 0 ? '-' : '';
  const size = Math.abs(bytes);
  if (size < 1024) return `${sign}${Math.round(size)} B`;
  if (size < 1024 ** 2) return `${sign}${digits(size / 1024)} KiB`;
  if (size < 1024 ** 3) return `${sign}${digits(size / 1024 ** 2)} MiB`;
  return `${sign}${digits(size / 1024 ** 3)} GiB`;
}

export const formatRatio = (ratio: number): string =>
  ratio < 10 ? ratio.toFixed(2) : digits(ratio);

function digits(value: number): string {
  if (value >= 100) return Math.round(value).toString();
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
