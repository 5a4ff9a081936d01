/** Collects the values of an option that may be given several times: what commander calls for each. */
export const append = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];
