import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByrefError } from '../../src/base/error.ts';
import { exactSize, sizeOf } from '../../src/base/size.ts';
import { decodeSettings, encodeSettings, NO_SETTINGS } from '../../src/codec/env-settings.ts';
import { settingsShown, withSetting, wordsOf } from '../../src/manager/envs/settings.ts';

const set = (...assignments: string[]) => assignments.reduce(withSetting, NO_SETTINGS);

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(ByrefError);
    expect((error as ByrefError).code).toBe('usage');
    return (error as ByrefError).message;
  }
  return 'no error';
};

describe('a setting', () => {
  it.each([
    ['limits.cpu=1.5', { cpus: 1.5 }],
    ['cpus=2', { cpus: 2 }],
    ['limits.cpu.set=0-1,3', { cpuSet: '0-1,3' }],
    ['limits.memory=512MiB', { memoryBytes: 512 * 2 ** 20 }],
    ['ram=1G', { memoryBytes: 2 ** 30 }],
    ['limits.memory.swap=0', { swapBytes: 0 }],
    ['limits.processes=100', { processes: 100 }],
    ['diskspace=10G', { diskBytes: 10 * 2 ** 30 }],
    ['limits.disk.inodes=5000', { diskInodes: 5000 }],
    ['limits.io.read=10MiB', { ioRead: { bytes: 10 * 2 ** 20, iops: null } }],
    ['limits.io.write=500iops,1MiB/s', { ioWrite: { bytes: 2 ** 20, iops: 500 } }],
    [
      'iolimit=8M',
      { ioRead: { bytes: 2 ** 23, iops: null }, ioWrite: { bytes: 2 ** 23, iops: null } },
    ],
    ['iopslimit=50', { ioRead: { bytes: null, iops: 50 }, ioWrite: { bytes: null, iops: 50 } }],
    ['ioprio=4', { ioWeight: 100 }],
    ['ioprio=0', { ioWeight: 1 }],
  ])('%s is a limit', (assignment, limits) => {
    expect(set(assignment).limits).toMatchObject(limits);
  });

  it('is taken back by an empty value', () => {
    expect(
      set(
        'limits.memory=1GiB',
        'environment.A=b',
        'init=sh',
        'limits.memory=',
        'environment.A=',
        'init=',
      ),
    ).toEqual(NO_SETTINGS);
  });

  it.each([
    ['limits.memory', 'sets nothing'],
    ['limits.memory=lots', 'can\'t be "lots"'],
    ['limits.memory=1k', 'can\'t be "1k"'],
    ['limits.cpu=0', 'can\'t be "0"'],
    ['limits.cpu=x', 'can\'t be "x"'],
    ['limits.cpu.set=a', 'can\'t be "a"'],
    ['limits.disk=-1', 'can\'t be "-1"'],
    ['diskinodes=many', 'can\'t be "many"'],
    ['limits.processes=1.5', 'can\'t be "1.5"'],
    ['limits.io.read=1', 'can\'t be "1"'],
    ['limits.io.read=1MiB,2MiB', 'can\'t be "1MiB,2MiB"'],
    ['limits.io.write=0iops', 'can\'t be "0iops"'],
    ['limits.io.weight=2000', 'can\'t be "2000"'],
    ['ioprio=8', 'can\'t be "8"'],
    ['services.a b=x', 'the name of a service can\'t be "a b"'],
    ['services.a="', "services.a can't be"],
    ['managed-files=passwd', 'can\'t be "passwd"'],
    ['network=lan', 'can\'t be "lan"'],
    ['boot.autostart.priority=x', 'can\'t be "x"'],
    ['privileged=yes', 'can\'t be "yes"'],
    ['init="', 'can\'t be """'],
    ['init=[1]', 'can\'t be "[1]"'],
    ['init=[', 'can\'t be "["'],
    ['environment.1=a', 'can\'t be "1"'],
    ['limits.speed=1', 'there is no key "limits.speed"'],
  ])('%s is refused', (assignment, why) => {
    expect(refusal(() => set(assignment))).toContain(why);
  });

  it('is shown as it can be set again', () => {
    const given = set(
      'init=nginx -g "daemon off;"',
      'limits.cpu=0.5',
      'environment.LANG=C',
      'services.web=nginx -g "daemon off;"',
      'health=test -e /ready',
      'managed-files=hosts,hostname',
      'network=host',
      'limits.io.write=1MiB,20iops',
    );
    const shown = Object.entries(settingsShown(given)).map(([key, value]) => `${key}=${value}`);
    expect(set(...shown)).toEqual(given);
  });

  it('is kept; what an older byref did not write is not set', () => {
    const given = set('limits.cpu=0.5', 'privileged=true');
    expect(decodeSettings(encodeSettings(given))).toEqual(given);
    const older = Buffer.concat([Buffer.of(1), Buffer.from('{"limits":{"cpus":2}}')]);
    expect(decodeSettings(older)).toEqual(set('limits.cpu=2'));
    expect(() => decodeSettings(Buffer.of(2, 0x7b, 0x7d))).toThrow('version 2');
  });
});

describe('the words of a command', () => {
  it.each([
    ['nginx -g "daemon off;"', ['nginx', '-g', 'daemon off;']],
    ['sh -c \'echo "a b"\'', ['sh', '-c', 'echo "a b"']],
    ['a\\ b  c', ['a b', 'c']],
    ['"a\\"b" \'\'', ['a"b', '']],
    ['systemd', ['/sbin/init']],
    ['["sh", "-c", "echo $HOME"]', ['sh', '-c', 'echo $HOME']],
  ])('%s', (text, words) => {
    expect(wordsOf(text)).toEqual(words);
  });

  it.each([[["\\\\' ", ' ']], [['[', 'a']], [['a\\', '$x']]])(
    '%j are read as they are shown',
    (init) => {
      expect(wordsOf(settingsShown({ ...NO_SETTINGS, init })['init'] ?? '')).toEqual(init);
    },
  );

  it('are what they were when they are shown and read again', () => {
    const word = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (init) => {
        fc.pre(init.length > 1 || init[0] !== 'systemd');
        const shown = settingsShown({ ...NO_SETTINGS, init })['init'] ?? '';
        expect(wordsOf(shown)).toEqual(init);
      }),
    );
  });
});

describe('a size', () => {
  it.each([0, 1, 1000, 1024, 1536, 3 * 2 ** 20, 2 ** 40])(
    '%i is read as it is written',
    (bytes) => {
      expect(sizeOf(exactSize(bytes))).toBe(bytes);
    },
  );

  it.each([
    ['4096', 4096],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['10 MB', 1e7],
    ['2k', 2048],
    ['x', null],
    ['1 lightyear', null],
    ['-1', null],
    ['', null],
  ])('%s', (text, bytes) => {
    expect(sizeOf(text)).toBe(bytes);
  });
});
