/** What long commands say of how far they are. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { BYREF, sh } from '../support/machine/program.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';
import { archive, file } from '../support/trees/tar-members.ts';

interface Shown {
  readonly phase: string;
  readonly part: number | null;
  readonly files: number;
  readonly detail: string | null;
}

let systems: TinySystems;
let apps: TinyApps;

beforeAll(async () => {
  systems = await TinySystems.create();
  await systems.repo.add(slow);
  await systems.repo.publish();
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  apps = await TinyApps.create(systems);
});
afterEach(async () => {
  await apps.expectNothingLeft();
  await apps.dispose();
});

/** Takes long enough for apt to be seen at it. */
const slow: DebDescription = {
  name: 'slow',
  version: '1.0',
  arch: 'all',
  depends: ['greeter', 'linked'],
  files: { '/usr/share/slow/file': 'x\n' },
};

/** Of a command with --json in a pipe: each line of standard error is a value; what was shown, by phase, in order. */
async function shown(...words: string[]): Promise<Map<string, Shown[]>> {
  const { code, stdout, stderr } = await apps.root.byref(...words, '--json');
  expect(code, stderr).toBe(0);
  expect(() => JSON.parse(stdout) as unknown).not.toThrow();
  const phases = new Map<string, Shown[]>();
  for (const line of stderr.trim().split('\n').filter(Boolean)) {
    const { progress } = JSON.parse(line) as { progress: Shown };
    expect(Object.keys(progress)).toEqual(['phase', 'part', 'files', 'bytes', 'detail']);
    phases.set(progress.phase, [...(phases.get(progress.phase) ?? []), progress]);
  }
  for (const [phase, states] of phases) {
    const parts = states.flatMap(({ part }) => part ?? []);
    expect(parts, phase).toEqual([...parts].sort((a, b) => a - b));
    expect(parts.every((part) => part >= 0 && part <= 1)).toBe(true);
  }
  return phases;
}

const details = (states: readonly Shown[] | undefined): string[] => [
  ...new Set((states ?? []).flatMap(({ detail }) => detail ?? [])),
];
const furthest = (states: readonly Shown[] | undefined): number =>
  Math.max(...(states ?? []).map(({ part }) => part ?? 0), -1);

test('an app tells what apt says of itself, package by package', async () => {
  const phases = await shown('template', 'build', apps.config('slow', { packages: ['slow'] }));
  expect([...phases.keys()]).toEqual(
    expect.arrayContaining(['indices', 'download', 'install', 'pack', 'store', 'commit']),
  );
  expect(details(phases.get('install'))).toEqual(expect.arrayContaining(['greeter', 'slow']));
  expect(furthest(phases.get('install'))).toBeGreaterThan(0.9);
  const again = await shown('template', 'update', 'slow');
  expect([...again.keys()]).toEqual(['indices', 'plan']);
});

test('an operating system tells what mmdebstrap says', async () => {
  const { server, repo } = systems;
  const from = { suite: 'stable', repository: server.url, keyring: repo.keyring };
  const os = {
    kind: 'os',
    base: undefined,
    variant: 'custom',
    packages: ['tiny-base', 'slow'],
    ...from,
  };
  const phases = await shown('template', 'build', apps.config('system', os));
  expect([...phases.keys()]).toEqual([
    ...['indices', 'download', 'unpack', 'install essential', 'pack', 'store', 'commit'],
  ]);
  expect(details(phases.get('install essential'))).toEqual(
    expect.arrayContaining(['tiny-base', 'slow']),
  );
  expect(furthest(phases.get('download'))).toBe(1);
  expect(furthest(phases.get('install essential'))).toBe(1);
});

test('a first env of several apps tells what is merged and made; a second one has nothing to tell', async () => {
  await apps.build('one', ['userful']);
  await apps.build('two', ['alternative-a']);
  const words = ['--os', 'tiny', '--app', 'one', '--app', 'two'];
  const phases = await shown('create', 'first', ...words);
  expect([...phases.keys()]).toEqual(['compose', 'store', 'commit']);
  expect(details(phases.get('compose'))).toContain('apt-get check');
  expect(await shown('create', 'second', ...words)).toEqual(new Map());
  // As text in a pipe, notes are all that there is.
  await apps.build('three', ['userful2']);
  const text = await apps.create('third', 'one', 'three');
  expect(text.stderr).toBe('');
});

/** Runs a command on a terminal; what it wrote there. */
async function onTerminal(...words: string[]): Promise<string> {
  const script =
    'log=$1; shift; script --quiet --return --command "$(printf " %q" "$@")" "$log" >/dev/null; cat "$log"';
  const log = path.join(apps.root.base, 'terminal');
  const { stdout } = await sh(script, [log, BYREF, ...words], { env: apps.root.env });
  return stdout;
}

test('a bar on a terminal: it goes on, and what it is a part of stays as it is', async () => {
  const members = Array.from({ length: 3000 }, (_, i) => file(`file-${i}`, `${i}`.repeat(500)));
  const tar = path.join(apps.root.base, 'many.tar');
  writeFileSync(tar, archive(...members));
  const text = await onTerminal('template', 'import', 'many', tar);
  const bars = [...text.matchAll(/read: \[([#.]{24})\] (\d+)% (\d+) files, [^\r\n]*/g)];
  expect(bars.length, text).toBeGreaterThan(0);
  const parts = bars.map(([, , part]) => Number(part));
  expect(parts).toEqual([...parts].sort((a, b) => a - b));
  expect(bars.every(([line]) => !line.includes(' of '))).toBe(true);
  const built = await onTerminal('template', 'build', apps.config('slow', { packages: ['slow'] }));
  expect(built).toMatch(/install: \[[#.]{24}\] \d+% [a-z]/);
});
