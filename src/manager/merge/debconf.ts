/** The format of debconf's answers (config.dat, passwords.dat) and questions (templates.dat). */
import type { KeyedRecord, Sides } from './format.ts';
import { splitLines } from './lines.ts';
import { fieldOf, fieldsOf, stanzaFormat } from './stanzas.ts';
import { mergeItems, mergeRecords } from './three-way.ts';

/** Questions whose answer is a list to which each package adds its own item. */
const LIST_ANSWERS = new Set(['libpam-runtime/profiles', 'locales/locales_to_be_generated']);

/** debconf's databases, by question. */
export const DEBCONF = stanzaFormat({
  name: 'debconf',
  noun: 'question',
  keyOf: (stanza) => fieldOf(stanza, 'Name'),
  reconcile: mergeQuestion,
});

/** Merges field by field. Different answers to one question are a conflict; different owners are not. */
function mergeQuestion(name: string, { base, ours, theirs }: Sides): string | null {
  const sides = { base: fieldsOf(base ?? ''), ours: fieldsOf(ours), theirs: fieldsOf(theirs) };
  const { records, conflicts } = mergeRecords(sides, (field, texts) => {
    if (field === 'owners' || field === 'flags') return mergeList(texts);
    if (field === 'value' && LIST_ANSWERS.has(name)) return mergeList(texts);
    return field === 'variables' ? mergeVariables(texts) : null;
  });
  return conflicts.length > 0 ? null : records.map(({ text }) => text).join('\n');
}

function mergeList(texts: Sides): string {
  const items = (text: string | null): string[] =>
    (text ?? '')
      .replace(/^[^:]*:/, '')
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean);
  const merged = mergeItems(items(texts.base), items(texts.ours), items(texts.theirs));
  return `${texts.ours.slice(0, texts.ours.indexOf(':'))}: ${merged.join(', ')}`;
}

/**
 * Merges the values that packages put into a question's text. They are set anew each time before it is asked,
 * so either side's will do.
 */
function mergeVariables(texts: Sides): string {
  const variables = (text: string | null): KeyedRecord[] =>
    splitLines(text ?? '').map((line) => ({ key: /^[^=]*/.exec(line)![0], text: line }));
  const sides = {
    base: variables(texts.base),
    ours: variables(texts.ours),
    theirs: variables(texts.theirs),
  };
  return mergeRecords(sides)
    .records.map(({ text }) => text)
    .join('\n');
}
