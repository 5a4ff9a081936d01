import { describe, expect, it } from 'vitest';
import { type Lookup, rootOf, SYMLINKS_MAX, walkPath } from '../../src/base/path-walk.ts';

/** Symlinks by their paths; names that begin with "no" are not there, and all others are directories. */
const SYMLINKS: Readonly<Record<string, string | undefined>> = {
  '/bin': 'usr/bin',
  '/usr/abs': '/etc//x/.',
  '/usr/lib/up': '../share',
  '/usr/lib/out': '../../../../etc',
  '/loop': 'loop',
  '/usr/to-no': 'no/x',
  '/usr/via': '../bin/../lib/up',
  '/usr/root': '/',
  // /chain3 leads through four symlinks to /end.
  ...Object.fromEntries(
    Array.from({ length: SYMLINKS_MAX + 1 }, (_, n) => [
      `/chain${n}`,
      n === 0 ? 'end' : `chain${n - 1}`,
    ]),
  ),
};

function lookup(seen: string[] = []): Lookup<string> {
  return {
    step(dir, name, isLast) {
      const here = `${dir}/${name}`;
      seen.push(isLast ? `${here} (last)` : here);
      const target = SYMLINKS[here];
      if (target !== undefined) return { target };
      return name.startsWith('no') ? null : { dir: here };
    },
  };
}

describe('a walk', () => {
  it.each([
    ['', ''],
    ['/', ''],
    ['/usr/./lib//x/', '/usr/lib/x'],
    ['usr/lib/../bin', '/usr/bin'],
    ['/..', ''],
    ['/../../usr/..//../etc', '/etc'],
    ['/bin/ls', '/usr/bin/ls'],
    ['/usr/abs/y', '/etc/x/y'],
    ['/usr/lib/up', '/usr/share'],
    ['/usr/lib/up/../x', '/usr/x'],
    ['/usr/lib/out/passwd', '/etc/passwd'],
    ['/bin/../x', '/usr/x'],
    ['/usr/root/x', '/x'],
    ['/usr/via', '/usr/share'],
    [`/chain${SYMLINKS_MAX - 1}`, '/end'],
  ])('along %s leads to "%s"', (path, dir) => {
    const { at, stoppedAt, isLoop } = walkPath(rootOf(''), path, lookup());
    expect({ dir: at.dir, stoppedAt, isLoop }).toEqual({ dir, stoppedAt: null, isLoop: false });
  });

  it.each([
    ['/usr/no/x', '/usr', 'no', false],
    ['/usr/to-no', '/usr', 'no', false],
    ['/loop/x', '', 'loop', true],
    [`/chain${SYMLINKS_MAX}`, '', 'chain0', true],
  ])('along %s ends in "%s" at %s', (path, dir, stoppedAt, isLoop) => {
    const walked = walkPath(rootOf(''), path, lookup());
    expect({ ...walked, at: walked.at.dir }).toEqual({ at: dir, stoppedAt, isLoop });
  });

  it('says at which name nothing of the path is left', () => {
    const seen: string[] = [];
    walkPath(rootOf(''), '/bin/ls', lookup(seen));
    expect(seen).toEqual(['/bin', '/usr', '/usr/bin', '/usr/bin/ls (last)']);
  });

  it('follows a symlink as long as an archive may have one', () => {
    const target = '/a'.repeat(500_000);
    const step = (dir: number, name: string) => (name === 'x' ? { target } : { dir: dir + 1 });
    expect(walkPath(rootOf(0), 'x', { step }).at.dir).toBe(500_000);
  });

  it('goes on from where another one ended', () => {
    const { at } = walkPath(rootOf(''), '/usr/lib', lookup());
    expect(walkPath(at, '../bin', lookup()).at.dir).toBe('/usr/bin');
    expect(walkPath(at, '/x', lookup()).at.dir).toBe('/usr/lib/x');
  });

  it.each([
    ['/usr/../x', 0],
    ['/usr/../../x', 1],
    ['/usr/abs', 1],
    ['/usr/lib/out', 1],
  ])('along %s leaves the tree: %d', (path, isLeaving) => {
    let left = 0;
    walkPath(rootOf(''), path, { ...lookup(), leaves: () => left++ });
    expect(Math.min(left, 1)).toBe(isLeaving);
  });
});
