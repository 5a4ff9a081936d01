/** Makes text from elsewhere safe to print: it does nothing to a terminal, and stays on its line. */
import { bytesOfText } from './text-bytes.ts';

/**
 * Matches control characters; characters that change the direction of text, or join or hide others; other line
 * ends; and bytes that are not UTF-8.
 */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const HARMFUL_OR_BACKSLASH = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\\]/gu;
const HARMFUL_BUT_TAB = /[^\P{Cc}\t]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const LETTERS: Readonly<Record<string, string>> = {
  ...{ '\x07': '\\a', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\v': '\\v', '\f': '\\f' },
  ...{ '\r': '\\r', '\\': '\\\\' },
};

/**
 * Returns the text with C's escapes, as `ls -b` shows names: letters where there are any, else each byte in
 * octal; backslashes are doubled. `printf %b` turns it back into the name.
 */
export const visible = (text: string): string => text.replace(HARMFUL_OR_BACKSLASH, escaped);

/** Escapes a line of a file's content or of a program's output; tabs and backslashes stay as they are. */
export const visibleContent = (line: string): string => line.replace(HARMFUL_BUT_TAB, escaped);

function escaped(character: string): string {
  const letter = LETTERS[character];
  if (letter !== undefined) return letter;
  return Array.from(
    bytesOfText(character),
    (byte) => `\\${byte.toString(8).padStart(3, '0')}`,
  ).join('');
}

/** Returns the JSON with \u escapes for characters that JSON allows but a terminal would act upon. */
export const visibleJson = (json: string): string =>
  json.replace(HARMFUL, (character) =>
    character === '\n'
      ? character
      : Array.from(
          { length: character.length },
          (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
        ).join(''),
  );
