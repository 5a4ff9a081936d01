import { describe, expect, it } from 'vitest';
import { ALTERNATIVES, alternativeLinks } from '../../src/manager/merge/alternatives.ts';
import { mergeKeyed } from '../../src/manager/merge/merge.ts';

const text = (...lines: string[]) => lines.map((line) => `${line}\n`).join('');
const LINK = '/usr/bin/editor';
const MAN = ['editor.1.gz', '/usr/share/man/man1/editor.1.gz'] as const;
const MAN_DE = ['editor.de.1.gz', '/usr/share/man/de/man1/editor.1.gz'] as const;

const EMACS = text('auto', LINK, ...MAN, '', '/usr/bin/emacs', '0', '/man/emacs.1.gz', '');
const NANO_VIM = text(
  ...['auto', LINK, ...MAN, ...MAN_DE, ''],
  ...['/bin/nano', '40', '/man/nano.1.gz', ''],
  ...['/usr/bin/vim.tiny', '15', '/man/vim.1.gz', '/man/de/vim.1.gz', ''],
);
const merge = (base: string | null, ours: string, theirs: string) =>
  mergeKeyed(ALTERNATIVES, { base, ours, theirs });

describe('alternatives', () => {
  it('have the choices and the slaves of both, in the order that update-alternatives writes', () => {
    const both = text(
      ...['auto', LINK, ...MAN, ...MAN_DE, ''],
      ...['/bin/nano', '40', '/man/nano.1.gz', ''],
      ...['/usr/bin/emacs', '0', '/man/emacs.1.gz', ''],
      ...['/usr/bin/vim.tiny', '15', '/man/vim.1.gz', '/man/de/vim.1.gz', ''],
    );
    expect(merge(null, EMACS, NANO_VIM)).toEqual({ content: both, conflicts: [] });
    expect(merge(null, NANO_VIM, EMACS)).toEqual({ content: both, conflicts: [] });
  });

  it('one choice of two priorities, and auto against manual, are conflicts', () => {
    const manual = EMACS.replace('auto', 'manual').replace('\n0\n', '\n7\n');
    const { content, conflicts } = merge(null, EMACS, manual);
    expect(content).toBe(EMACS);
    expect(conflicts.map(({ key }) => key)).toEqual(['mode', 'choice /usr/bin/emacs']);
  });

  it('what is no state file is taken whole', () => {
    for (const broken of [
      '',
      'auto\n',
      `maybe\n${LINK}\n\n\n`,
      `${EMACS}more\n`,
      text('auto', LINK, '', '/a', 'x', ''),
    ]) {
      const { content, conflicts } = merge(EMACS, broken, NANO_VIM);
      expect(content).toBe(broken);
      expect(conflicts).toHaveLength(1);
    }
  });
});

describe('alternativeLinks', () => {
  it('lead to the highest priority; a slave that the choice lacks must not be there', () => {
    expect(alternativeLinks('editor', NANO_VIM)).toEqual([
      { path: '/etc/alternatives/editor', target: '/bin/nano', needs: '/bin/nano' },
      { path: LINK, target: '/etc/alternatives/editor', needs: '/bin/nano' },
      { path: `/etc/alternatives/${MAN[0]}`, target: '/man/nano.1.gz', needs: '/man/nano.1.gz' },
      { path: MAN[1], target: `/etc/alternatives/${MAN[0]}`, needs: '/man/nano.1.gz' },
      { path: `/etc/alternatives/${MAN_DE[0]}`, target: null, needs: null },
      { path: MAN_DE[1], target: null, needs: null },
    ]);
  });

  it('of equal ones to the first', () => {
    const state = text('auto', '/usr/bin/x', '', '/a', '10', '/b', '10', '/c', '-5', '');
    expect(alternativeLinks('x', state)?.[0]?.target).toBe('/a');
  });

  it('are left alone in manual mode, without choices, and if it is no state file', () => {
    for (const state of [EMACS.replace('auto', 'manual'), text('auto', '/x', '', ''), 'x']) {
      expect(alternativeLinks('x', state)).toBeNull();
    }
  });
});
