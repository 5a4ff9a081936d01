import { describe, expect, it } from 'vitest';
import {
  accountsOf,
  addedAccounts,
  idClass,
  renumber,
  withConstantDays,
} from '../../src/manager/merge/accounts.ts';

const OS = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n',
  group: 'root:x:0:\naudio:x:29:\nnogroup:x:65534:\n',
};
const REDIS = {
  passwd: `${OS.passwd}redis:x:100:101::/var/lib/redis:/usr/sbin/nologin\n`,
  group: 'root:x:0:\naudio:x:29:redis\nnogroup:x:65534:\nredis:x:101:\n',
};

describe('accounts', () => {
  it('are read with their numbers; other lines are none', () => {
    expect(
      accountsOf('# x\n+nis:::\n:x:1:1\nbad:x:y:1:\nshort\na:x:1:2\n', 'g:x:7:\ng:x\n'),
    ).toEqual({ users: [{ name: 'a', uid: 1, gid: 2 }], groups: [{ name: 'g', gid: 7 }] });
  });

  it('that a package added are those that the OS does not have by name', () => {
    expect(addedAccounts(OS, REDIS)).toEqual({
      users: [{ name: 'redis', uid: 100, gid: 101 }],
      groups: [{ name: 'redis', gid: 101 }],
    });
  });

  it('get other numbers at once, and only those that may', () => {
    const passwd = 'root:x:0:0::/:\na:x:100:101::/:\nb:x:101:100::/:\nbad\n';
    const swap = new Map([
      [100, 101],
      [101, 100],
      [0, 5],
    ]);
    const shadow = 'a:!:1::::::\n';
    expect(renumber({ passwd, group: 'a:x:100:b\nb:x:101:', shadow }, swap, swap)).toEqual({
      passwd: 'root:x:0:0::/:\na:x:101:100::/:\nb:x:100:101::/:\nbad\n',
      group: 'a:x:101:b\nb:x:100:',
      shadow,
    });
  });

  it('have classes at their limits', () => {
    const classes = [0, 99, 100, 999, 1000, 59_999, 60_000, 65_534, -1].map(idClass);
    expect(classes).toEqual([
      ...['fixed', 'fixed', 'system', 'system', 'normal', 'normal'],
      ...['fixed', 'fixed', 'fixed'],
    ]);
  });
});

describe('settleShadow', () => {
  it('gives the locked accounts that a build added the same day on every day', () => {
    const base = 'root:*:20782:0:99999:7:::\n';
    const built = (day: number) =>
      `root:*:${day}:0:99999:7:::\nsshd:!:${day}::::::\nredis:!*:${day}::::::\nx:!!:${day}:0:::::\n`;
    const settled = withConstantDays(built(20_782), base);
    expect(settled).toBe(
      'root:*:20782:0:99999:7:::\nsshd:!:7305::::::\nredis:!*:7305::::::\nx:!!:7305:0:::::\n',
    );
    expect(withConstantDays(built(20_783), base).split('\n').slice(1)).toEqual(
      settled.split('\n').slice(1),
    );
  });

  it('leaves what a password opens, what has no day, and what is no entry', () => {
    const shadow =
      'a:$y$j9T$x:20782:0:99999:7:::\nb:!$y$x:20782:0:::::\nc:!:::::::\n\nd\ne:*:1::::::';
    expect(withConstantDays(shadow, '')).toBe(shadow.replace('e:*:1:', 'e:*:7305:'));
  });
});
