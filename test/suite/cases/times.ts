import assert from 'node:assert/strict';
import fs from 'node:fs';
import { asUser, setTimes, type Time, UTIME_NOW, UTIME_OMIT } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, stamps, stat, tick } from '../expect.ts';

const SECOND = 1_000_000_000n;
const omit: Time = { sec: 0, nsec: UTIME_OMIT };
const now: Time = { sec: 0, nsec: UTIME_NOW };
const inNs = (time: Time): bigint => BigInt(time.sec) * SECOND + BigInt(time.nsec);
const someone = { uid: 1000, gid: 1000 };

export const times: CaseGroup = {
  'utimensat sets nanoseconds, exactly, of files, directories and links': ({ at }) => {
    const [atime, mtime] = [
      { sec: 1_234_567_890, nsec: 123_456_789 },
      { sec: 987_654_321, nsec: 1 },
    ];
    fs.writeFileSync(at('f'), '');
    fs.mkdirSync(at('d'));
    fs.symlinkSync('f', at('s'));
    for (const name of ['f', 'd', 's']) {
      stamps(at(name), ['ctime'], () => {
        setTimes(at(name), atime, { sec: 0, nsec: UTIME_OMIT }, true);
      });
      setTimes(at(name), atime, mtime, true);
      const after = stat(at(name));
      assert.deepEqual([after.atimeNs, after.mtimeNs], [inNs(atime), inNs(mtime)], name);
    }
  },

  'UTIME_OMIT leaves a time, UTIME_NOW sets the clock': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    const past: Time = { sec: 1000, nsec: 5 };
    setTimes(at('f'), past, past);
    setTimes(at('f'), omit, { sec: 2000, nsec: 6 });
    assert.deepEqual(
      [stat(at('f')).atimeNs, stat(at('f')).mtimeNs],
      [1000n * SECOND + 5n, 2000n * SECOND + 6n],
    );
    setTimes(at('f'), now, omit);
    assert.ok(Math.abs(fs.statSync(at('f')).atimeMs - Date.now()) < 5000);
    assert.equal(stat(at('f')).mtimeNs, 2000n * SECOND + 6n);
    const before = stat(at('f'));
    tick();
    setTimes(at('f'), omit, omit);
    assert.equal(stat(at('f')).ctimeNs, before.ctimeNs, 'both omitted: nothing changes');
  },

  'times before 1970 and after 2038': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    for (const sec of [-1, -86_400 * 365, 2 ** 31, 2 ** 33]) {
      setTimes(at('f'), { sec, nsec: 7 }, { sec, nsec: 999_999_999 });
      assert.equal(stat(at('f')).atimeNs, BigInt(sec) * SECOND + 7n);
      assert.equal(stat(at('f')).mtimeNs, BigInt(sec) * SECOND + 999_999_999n);
    }
  },

  'times that were set stay over close, rename, link, chmod and read': ({ at }) => {
    const past: Time = { sec: 1_000_000, nsec: 42 };
    const fd = fs.openSync(at('f'), 'w+');
    fs.writeSync(fd, 'written before the times are set');
    setTimes(at('f'), past, past);
    fs.closeSync(fd);
    fs.renameSync(at('f'), at('g'));
    fs.linkSync(at('g'), at('h'));
    fs.chmodSync(at('h'), 0o600);
    assert.equal(stat(at('h')).mtimeNs, inNs(past));
    fs.readFileSync(at('h'));
    assert.equal(stat(at('h')).mtimeNs, inNs(past));
  },

  'a new file’s times are the present, and equal': ({ at }) => {
    const from = BigInt(Date.now() - 20) * 1_000_000n;
    fs.writeFileSync(at('f'), '');
    const { atimeNs, mtimeNs, ctimeNs } = stat(at('f'));
    assert.ok(mtimeNs >= from && mtimeNs <= BigInt(Date.now() + 20) * 1_000_000n);
    assert.ok(ctimeNs >= mtimeNs && mtimeNs >= atimeNs);
  },

  'chmod, chown, link and rename move ctime only': ({ at }) => {
    fs.writeFileSync(at('f'), 'x');
    stamps(at('f'), ['ctime'], () => fs.chmodSync(at('f'), 0o600));
    stamps(at('f'), ['ctime'], () => fs.chownSync(at('f'), 3, 4));
    stamps(at('f'), ['ctime'], () => fs.linkSync(at('f'), at('g')));
    stamps(at('f'), ['ctime'], () => fs.unlinkSync(at('g')));
    fs.mkdirSync(at('d'));
    stamps(at('d'), ['ctime'], () => fs.chmodSync(at('d'), 0o700));
  },

  'a failed change moves nothing': ({ at, dir }) => {
    fs.writeFileSync(at('f'), 'x');
    fs.chmodSync(dir, 0o755);
    stamps(at('f'), [], () => {
      asUser(someone, () => {
        fails('EPERM', () => fs.chmodSync(at('f'), 0o777));
        fails('EPERM', () => fs.chownSync(at('f'), 1000, 1000));
        fails('EACCES', () => fs.truncateSync(at('f')));
        fails('EPERM', () => setTimes(at('f'), { sec: 1, nsec: 1 }, { sec: 1, nsec: 1 }));
        fails('EACCES', () => setTimes(at('f'), now, now));
      });
    });
  },

  'who may write may set the clock; only the owner any time': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), 'x');
    fs.chmodSync(at('f'), 0o666);
    asUser(someone, () => {
      stamps(at('f'), ['mtime', 'ctime'], () => setTimes(at('f'), now, now));
      fails('EPERM', () => setTimes(at('f'), { sec: 5, nsec: 0 }, { sec: 5, nsec: 0 }));
    });
    fs.chownSync(at('f'), 1000, 1000);
    asUser(someone, () => setTimes(at('f'), { sec: 5, nsec: 0 }, { sec: 6, nsec: 0 }));
    assert.equal(stat(at('f')).mtimeNs, 6n * SECOND);
  },
};
