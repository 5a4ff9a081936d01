/** Returns the words of a command line that are its own: those behind `--` are another command's, or operands. */
export function ownWords(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}
