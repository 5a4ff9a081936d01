import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { MAP_PRIVATE, Mapping, open, PROT_READ } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, inDirectory } from '../expect.ts';
import { checkSetIdPrograms, makeSetIdPrograms } from '../set-id-programs.ts';

const { O_RDONLY, O_WRONLY } = fs.constants;
const PROT_EXEC = 4;

/** A real program, copied into the file system under test. */
function program(path: string, of = '/bin/sleep'): string {
  fs.copyFileSync(of, path);
  fs.chmodSync(path, 0o755);
  return path;
}

export const execution: CaseGroup = {
  'programs and scripts run from here': ({ at }) => {
    const { stdout } = spawnSync(program(at('echo'), '/bin/echo'), ['it runs']);
    assert.equal(stdout.toString(), 'it runs\n');
    fs.writeFileSync(at('script'), '#!/bin/sh\necho "script $1"\n', { mode: 0o755 });
    assert.equal(spawnSync(at('script'), ['runs']).stdout.toString(), 'script runs\n');
  },

  'a running program cannot be written or truncated (ETXTBSY), but replaced': async ({ at }) => {
    const child = spawn(program(at('sleep')), ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    try {
      fails('ETXTBSY', () => open(at('sleep'), O_WRONLY));
      fails('ETXTBSY', () => fs.truncateSync(at('sleep')));
      fs.closeSync(open(at('sleep'), O_RDONLY));
      program(at('next'), '/bin/echo');
      fs.renameSync(at('next'), at('sleep'));
      assert.equal(spawnSync(at('sleep'), ['new']).stdout.toString(), 'new\n');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  },

  'a file that is open for writing cannot be run (ETXTBSY)': ({ at }) => {
    const fd = fs.openSync(program(at('echo'), '/bin/echo'), 'r+');
    const busy = spawnSync(at('echo')).error as NodeJS.ErrnoException;
    assert.equal(busy.code, 'ETXTBSY');
    fs.closeSync(fd);
    assert.equal(spawnSync(at('echo')).status, 0);
  },

  'a rewritten program runs as it is now': ({ at }) => {
    program(at('p'), '/bin/true');
    assert.equal(spawnSync(at('p')).status, 0);
    program(at('p'), '/bin/false');
    assert.equal(spawnSync(at('p')).status, 1);
  },

  'execution needs an x bit, of root too': ({ at }) => {
    program(at('p'), '/bin/true');
    fs.chmodSync(at('p'), 0o644);
    assert.equal((spawnSync(at('p')).error as NodeJS.ErrnoException).code, 'EACCES');
  },

  'set-user-ID programs change the user': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    program(at('id'), '/usr/bin/id');
    fs.chownSync(at('id'), 1234, 1234);
    fs.chmodSync(at('id'), 0o4755);
    assert.equal(spawnSync(at('id'), ['-u']).stdout.toString(), '1234\n');
  },

  'a set-ID program that a user changed gives him no rights': ({ dir }) => {
    fs.chmodSync(dir, 0o755);
    makeSetIdPrograms(dir);
    checkSetIdPrograms(dir);
  },

  'code can be mapped for execution': ({ at }) => {
    const fd = fs.openSync(program(at('p')), 'r');
    const mapping = Mapping.ofFile(fd, 4096, MAP_PRIVATE, PROT_READ | PROT_EXEC);
    assert.equal(mapping.text(1, 3), 'ELF');
    mapping.unmap();
    fs.closeSync(fd);
  },

  'a program runs by a relative path from a renamed directory': ({ at }) => {
    fs.mkdirSync(at('a'));
    program(at('a', 'echo'), '/bin/echo');
    inDirectory(at('a'), () => {
      fs.renameSync(at('a'), at('b'));
      assert.equal(spawnSync('./echo', ['here']).stdout.toString(), 'here\n');
    });
  },
};
