/**
 * access-times-probe.ts STEPS DIRECTORY...: for each step (joined by commas), prints which access times of a file, a
 * directory and a symlink in each of the directories were moved by reading them. Steps are:
 *
 * - make: makes them, with times of long ago, and reads nothing; only by what stands in ctime is a move due;
 * - read: reads them as they are;
 * - again: the same, after a change of the directory;
 * - fresh: makes them and reads them at once.
 */
import fs from 'node:fs';
import { stat, tick } from '../suite/expect.ts';
import { setTimes } from '../syscalls/index.ts';

const KINDS = ['file', 'directory', 'symlink'] as const;
type Kind = (typeof KINDS)[number];

const past = { sec: 1_000_000_000, nsec: 5 };

function make(dir: string): void {
  fs.mkdirSync(`${dir}/directory`, { recursive: true });
  fs.writeFileSync(`${dir}/directory/name`, '');
  fs.writeFileSync(`${dir}/file`, 'content');
  fs.symlinkSync('target', `${dir}/symlink`);
}

function moved(dir: string): Kind[] {
  const before = KINDS.map((kind) => stat(`${dir}/${kind}`).atimeNs);
  tick();
  fs.readFileSync(`${dir}/file`);
  fs.readdirSync(`${dir}/directory`);
  fs.readlinkSync(`${dir}/symlink`);
  return KINDS.filter((kind, i) => stat(`${dir}/${kind}`).atimeNs > before[i]!);
}

function step(what: string, dir: string): Kind[] {
  if (what === 'make' || what === 'fresh') make(dir);
  if (what === 'make') for (const kind of KINDS) setTimes(`${dir}/${kind}`, past, past, true);
  tick();
  if (what === 'again') fs.writeFileSync(`${dir}/directory/another`, '');
  return what === 'make' ? [] : moved(dir);
}

const [steps = '', ...dirs] = process.argv.slice(2);
console.log(JSON.stringify(dirs.map((dir) => steps.split(',').map((what) => step(what, dir)))));
