/** Reads and writes rules as a file that people can edit. */
import { stringify } from 'yaml';
import { FieldsParser, listOf, text } from '../build/fields.ts';
import { DEFAULT_RULES, type Rules } from './rules.ts';

const patterns = listOf(text('a path pattern, such as /root/.cache or *.pid', /^[^\n]*[^\s/]/));

const FIELDS = { 'leave-out': patterns, empty: patterns, keep: patterns } as const;

/**
 * Parses the file; a list that it lacks is the default's.
 * @throws ByrefError 'badInput' with a line for each mistake: FILE:LINE: FIELD: what is wrong
 */
export function parseRules(source: string, file: string): Rules {
  const parser = new FieldsParser(FIELDS, source, {
    file,
    example: 'leave-out: [/root/.cache]',
    hint: 'Begin with what byref template capture --show-rules prints.',
  });
  const fields = parser.fields();
  parser.refuseIfAny();
  return {
    leaveOut: fields['leave-out'] ?? DEFAULT_RULES.leaveOut,
    empty: fields.empty ?? DEFAULT_RULES.empty,
    keep: fields.keep ?? DEFAULT_RULES.keep,
  };
}

/** Returns rules as parseRules() reads them. */
export function rulesText({ leaveOut, empty, keep }: Rules): string {
  return [
    '# * stands for any part of one component; a pattern includes what is below; one without a leading / matches anywhere.',
    '# Not in the template:',
    stringify({ 'leave-out': leaveOut }).trim(),
    '# There, and empty:',
    stringify({ empty }).trim(),
    '# In it, whatever the other lists say:',
    stringify({ keep }).trim(),
    '',
  ].join('\n');
}
