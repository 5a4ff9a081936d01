/**
 * The only way for text to standard output and standard error. It prints one line per element, and escapes
 * whatever would act on a terminal or look like another line (base/visible.ts), so names, command lines and
 * messages need no care elsewhere.
 */
import { bytesOfText } from '../base/text-bytes.ts';
import { visible, visibleContent } from '../base/visible.ts';
import { type OutputStream, output } from './output.ts';

const write = (stream: OutputStream, lines: readonly string[]): void => {
  if (lines.length > 0) stream.write(lines.map((line) => `${line}\n`).join(''));
};

/** Prints lines on standard output. */
export const printLines = (...lines: readonly string[]): void =>
  write(output().stdout, lines.map(visible));

/** Prints lines on standard error. */
export const sayLines = (...lines: readonly string[]): void =>
  write(output().stderr, lines.map(visible));

/** Prints lines of a file's content, in which tabs and backslashes stay as they are. */
export const printContent = (...lines: readonly string[]): void =>
  write(output().stdout, lines.map(visibleContent));

/** Prints text of our own, such as a completion script, as it is. */
export const printOwn = (text: string, stream: OutputStream = output().stdout): void => {
  stream.write(text);
};

/** Prints what another command of byref has printed. */
export const printBytes = (bytes: Uint8Array, stream: OutputStream): void => {
  stream.write(bytes);
};

/** Prints fields for programs, with -z: the bytes of each, unchanged, with a NUL after it. */
export function printNulEnded(...fields: readonly string[]): void {
  const end = Buffer.of(0);
  output().stdout.write(Buffer.concat(fields.flatMap((field) => [bytesOfText(field), end])));
}
