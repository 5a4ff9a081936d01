/**
 * Text that stands for bytes and can be turned back into them. UTF-8 stands for itself; a byte that is not
 * UTF-8 becomes one lone surrogate, U+DC80 + its low seven bits (as Python's "surrogateescape", PEP 383). JSON
 * writes it as `\udcff`.
 */
const ESCAPE_BASE = 0xdc00;
const LONE_BYTE = /[\udc80-\udcff]/u;
const REPLACEMENT = '\ufffd';

/** Returns the bytes as text, from which bytesOfText() restores them. */
export function textOfBytes(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return text.includes(REPLACEMENT) ? byCharacters(bytes) : text;
}

function byCharacters(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = lengthFrom(bytes[at]!);
    const character = bytes.toString('utf8', at, at + length);
    if (Buffer.from(character).equals(bytes.subarray(at, at + length))) {
      text += character;
      at += length;
    } else {
      text += String.fromCharCode(ESCAPE_BASE + bytes[at]!);
      at += 1;
    }
  }
  return text;
}

/** Returns how many bytes a character takes whose first byte this is. */
function lengthFrom(byte: number): number {
  if (byte < 0xc0) return 1;
  if (byte < 0xe0) return 2;
  return byte < 0xf0 ? 3 : 4;
}

/**
 * Turns a text from textOfBytes() back into its bytes. Other lone surrogates, which no bytes produce, become
 * U+FFFD.
 */
export function bytesOfText(text: string): Buffer {
  if (!LONE_BYTE.test(text)) return Buffer.from(text, 'utf8');
  return Buffer.concat(
    Array.from(text, (character) =>
      LONE_BYTE.test(character)
        ? Buffer.of(character.charCodeAt(0) - ESCAPE_BASE)
        : Buffer.from(character, 'utf8'),
    ),
  );
}
