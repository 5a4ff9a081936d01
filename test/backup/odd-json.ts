/** Gives one value in JSON another one. @param where tells which: 0 to 1 */
export function withOdd(value: unknown, where: number, to: unknown): unknown {
  if (typeof value !== 'object' || value === null) return to;
  const entries = Object.entries(value);
  if (entries.length === 0) return to;
  const scaled = where * entries.length;
  const at = Math.min(Math.floor(scaled), entries.length - 1);
  const [key, inner] = entries[at]!;
  const next = withOdd(inner, scaled - at, to);
  if (Array.isArray(value)) return value.map((each, i): unknown => (i === at ? next : each));
  return { ...value, [key]: next };
}
