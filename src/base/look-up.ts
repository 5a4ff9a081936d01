/** Returns what a table has under a word that somebody gave; undefined for words such as "__proto__", which every object knows. */
export const lookUp = <T>(table: Readonly<Record<string, T>>, word: string): T | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined;
