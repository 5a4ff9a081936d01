import { describe, expect, it } from 'vitest';
import { parseStanzas } from '../../src/manager/recipes/build/deb822.ts';

const parsed = (content: string): Record<string, string>[] =>
  parseStanzas(content).map((stanza) => Object.fromEntries(stanza));

describe('a control file', () => {
  it.each<[string, string, Record<string, string>[]]>([
    ['is empty', '', []],
    ['has stanzas', 'A: 1\nB:2\n\n\nC: 3', [{ a: '1', b: '2' }, { c: '3' }]],
    ['has long values', 'A: 1 \n  2\n\t3\nB:\n x\n', [{ a: '1\n  2\n\t3', b: '\n x' }]],
    ['has comments', '# x: y\nA: 1\n# z\n 2\n\n#\n\nB: 3\n', [{ a: '1\n 2' }, { b: '3' }]],
    ['has invalid lines', 'A: 1\nnone\n x: y\n:\nB: 2\n', [{ a: '1', b: '2' }]],
    ['begins with a continued line', ' x: y\nA: 1\n', [{ a: '1' }]],
    ['has a field twice', 'A: 1\nB: 2\na: 3\n', [{ a: '3', b: '2' }]],
    ['has colons in values', 'URIs: http://host:80/x\n', [{ uris: 'http://host:80/x' }]],
    ['has ends of lines as on Windows', 'A: 1\r\n\r\nB: 2\r\n', [{ a: '1' }, { b: '2' }]],
  ])('that %s', (_what, content, expected) => {
    expect(parsed(content)).toEqual(expected);
  });
});
