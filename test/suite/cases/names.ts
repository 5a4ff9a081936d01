import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { open } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, textOf } from '../expect.ts';

const NAME_MAX = 255;

const bytesPath = (dir: string, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${dir}/`), name]);

export const names: CaseGroup = {
  'a name of 255 bytes works, one of 256 is ENAMETOOLONG': ({ at }) => {
    const longest = at('n'.repeat(NAME_MAX));
    fs.writeFileSync(longest, 'x');
    assert.equal(textOf(longest), 'x');
    fails('ENAMETOOLONG', () => fs.writeFileSync(at('n'.repeat(NAME_MAX + 1)), 'x'));
    fails('ENAMETOOLONG', () => fs.lstatSync(at('n'.repeat(NAME_MAX + 1))));
  },

  'the limit of 255 holds for mkdir, symlink, link and rename': ({ at }) => {
    const [longest, tooLong] = [at('n'.repeat(NAME_MAX)), at('n'.repeat(NAME_MAX + 1))];
    fs.writeFileSync(at('f'), '');
    fails('ENAMETOOLONG', () => fs.mkdirSync(tooLong));
    fails('ENAMETOOLONG', () => fs.symlinkSync('x', tooLong));
    fails('ENAMETOOLONG', () => fs.linkSync(at('f'), tooLong));
    fails('ENAMETOOLONG', () => fs.renameSync(at('f'), tooLong));
    fs.renameSync(at('f'), longest);
    fs.linkSync(longest, at('m'.repeat(NAME_MAX)));
    fs.mkdirSync(at('d'.repeat(NAME_MAX)));
    fs.symlinkSync('x', at('s'.repeat(NAME_MAX)));
    assert.equal(fs.readdirSync(at()).length, 4);
  },

  'names are bytes: not UTF-8, control characters, spaces': ({ dir }) => {
    const odd = [Buffer.of(0xff, 0xfe, 0x80), Buffer.of(0x01, 0x0a, 0x09), Buffer.from(' ')];
    odd.forEach((name, i) => {
      fs.writeFileSync(bytesPath(dir, name), `${i}`);
    });
    odd.forEach((name, i) => {
      assert.equal(textOf(bytesPath(dir, name)), `${i}`);
    });
    const listed = fs.readdirSync(dir, 'buffer').map((name) => name.toString('hex'));
    assert.deepEqual(listed.sort(), odd.map((name) => name.toString('hex')).sort());
  },

  'a 255-byte name of high bytes is whole in a listing': ({ dir }) => {
    const name = Buffer.alloc(NAME_MAX, 0xe9);
    fs.mkdirSync(bytesPath(dir, name));
    assert.deepEqual(fs.readdirSync(dir, 'buffer'), [name]);
  },

  'case and Unicode form matter': ({ at, dir }) => {
    const forms = ['a', 'A', '\u00e9', 'e\u0301'];
    for (const name of forms) fs.writeFileSync(at(name), name);
    assert.equal(fs.readdirSync(dir).length, 4);
    for (const name of forms) assert.equal(fs.readFileSync(at(name), 'utf8'), name);
  },

  'a missing name is ENOENT, also right after it was asked for and removed': ({ at }) => {
    fails('ENOENT', () => fs.lstatSync(at('x')));
    fs.writeFileSync(at('x'), '');
    fs.lstatSync(at('x'));
    fs.unlinkSync(at('x'));
    fails('ENOENT', () => fs.lstatSync(at('x')));
    fails('ENOENT', () => fs.readFileSync(at('x')));
  },

  'a path through a file is ENOTDIR': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    fails('ENOTDIR', () => fs.lstatSync(at('f', 'x')));
    fails('ENOTDIR', () => fs.lstatSync(`${at('f')}/`));
    fails('ENOTDIR', () => fs.mkdirSync(at('f', 'x')));
    fails('ENOTDIR', () => fs.renameSync(at('f', 'x'), at('y')));
  },

  'a trailing slash means a directory': ({ at }) => {
    fs.mkdirSync(`${at('d')}/`);
    fs.renameSync(`${at('d')}/`, `${at('e')}/`);
    assert.ok(fs.statSync(`${at('e')}/`).isDirectory());
    fails(['EISDIR', 'ENOENT'], () => open(`${at('new')}/`, fs.constants.O_CREAT));
  },

  'a path of 4095 bytes works, a longer one is ENAMETOOLONG': ({ dir }) => {
    fails('ENAMETOOLONG', () => fs.lstatSync(`${dir}/${'./'.repeat(2048)}`));
    const room = 4095 - Buffer.byteLength(dir);
    const padded = `${dir}${'/'.repeat(room)}`;
    assert.ok(fs.statSync(padded).isDirectory());
  },

  'a tree 60 levels deep can be made, walked and removed': ({ at }) => {
    const levels = Array.from({ length: 60 }, (_, i) => `level-${i}`);
    fs.mkdirSync(at(...levels), { recursive: true });
    fs.writeFileSync(at(...levels, 'leaf'), 'leaf');
    const up = path.join(...levels.map(() => '..'));
    assert.equal(fs.statSync(`${at(...levels)}/${up}`).ino, fs.statSync(at()).ino);
    fs.rmSync(at('level-0'), { recursive: true });
    fails('ENOENT', () => fs.lstatSync(at('level-0')));
  },
};
