/** Errors read alike: a hint is a sentence, or ends in the command to give; a message begins as part of one. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { TREE } from '../support/machine/program.ts';

const SRC = path.join(TREE, 'src');
const COMMAND_AT_END = /(: |^See )(byref|mount|sudo) [^:]*$/;

/** Returns the text of a literal, with "X" for what is filled in; null for anything else. */
function textOf(node: ts.Node): string | null {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return null;
  return node.head.text + node.templateSpans.map((span) => `X${span.literal.text}`).join('');
}

function* hintsIn(node: ts.Node): Generator<ts.Node> {
  if (ts.isNewExpression(node) && node.expression.getText() === 'ByrefError') {
    const hint = node.arguments?.[2];
    if (hint !== undefined) yield hint;
  }
  if (ts.isVariableDeclaration(node) && node.name.getText() === 'hint' && node.initializer)
    yield node.initializer;
  const below: ts.Node[] = [];
  node.forEachChild((child) => void below.push(child));
  for (const child of below) yield* hintsIn(child);
}

test('a hint is a sentence', () => {
  const found: string[] = [];
  let count = 0;
  for (const file of readdirSync(SRC, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const source = readFileSync(path.join(SRC, file), 'utf8');
    const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
    for (const hint of hintsIn(tree)) {
      const text = textOf(hint);
      if (text === null) continue;
      count++;
      const ends = /[.!:)…]$/.test(text) || COMMAND_AT_END.test(text);
      if (!/^[A-Z"-]/.test(text) || !ends) found.push(`${file}: ${text}`);
    }
  }
  expect(found).toEqual([]);
  expect(count).toBeGreaterThan(100);
});
