import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { appPackages } from '../../../fixtures/apt/packages.ts';
import { output } from '../machine/program.ts';
import { AptRepo } from './apt-repo.ts';
import { TINY, TinySystems } from './tiny-systems.ts';

/** Without it mmdebstrap's dpkg, which runs in the new system, can't see a repository that is a directory. */
const FILE_HOOK = '--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount';

let systems: TinySystems;

beforeAll(async () => {
  systems = await TinySystems.create();
});

afterEach(() => systems.server.heal());

afterAll(() => systems.dispose());

describe('mmdebstrap makes a system', () => {
  test.each([
    ['http', [...TINY, '--include=greeter']],
    ['http', ['--variant=minbase', '--include=greeter']],
    ['copy', [...TINY, '--include=greeter']],
    ['file', [...TINY, '--include=greeter', FILE_HOOK]],
  ])('by %s: %j', async (scheme, options) => {
    const { repo, server } = systems;
    const url = { http: server.url, copy: repo.copyUrl, file: repo.url }[scheme];
    const tar = path.join(systems.base, 'other.tar');
    const { code, stderr } = await systems.mmdebstrap(tar, options, repo.sourceLine(url));
    expect(code, stderr).toBe(0);
    expect(await output('tar', ['--list', '--file', tar])).toContain('./usr/bin/greet\n');
  });

  test('of the same bytes, from the same packages', async () => {
    const hashes = [];
    for (const name of ['first.tar', 'second.tar']) {
      const tar = path.join(systems.base, name);
      await systems.mmdebstrap(tar, TINY);
      hashes.push((await output('sha256sum', [tar])).slice(0, 64));
    }
    expect(hashes[0]).toBe(hashes[1]);
  });
});

describe('mmdebstrap refuses', () => {
  test.each([
    ['unresolvable', 'not-to-be-had'],
    ['failing', 'failing: postinst fails'],
  ])('a package that is %s', async (name, reason) => {
    await refuses([...TINY, `--include=${name}`], reason);
  });

  test('a package that fails, and leaves the directory it came from as it was', async () => {
    const { repo } = systems;
    const before = filesOf(repo);
    // What the hook mounts, it unmounts only if all goes well.
    const options = [...TINY, FILE_HOOK, '--include=failing'];
    await refuses(options, 'failing: postinst fails', repo.sourceLine(repo.url));
    expect(filesOf(repo)).toEqual(before);
  });

  test('a signature by another key', async () => {
    const { repo } = systems;
    await systems.during(
      () => repo.signWithAnotherKey(),
      () => repo.signWithOwnKey(),
    );
    await refuses(TINY, 'is not signed');
  });

  test('a repository without a signature', async () => {
    systems.server.lose('/dists/stable/InRelease');
    await refuses(TINY, 'is not signed');
  });

  test('a repository that goes down half-way', async () => {
    systems.server.breakAfter(1_000_000);
    // By default it tries four times, with seconds between.
    await refuses([...TINY, '--aptopt=Acquire::Retries "0"'], 'Failed to fetch');
  });
});

test('the same descriptions make the same repository, byte by byte', async () => {
  const states = [];
  for (const name of ['one', 'two']) {
    const repo = await AptRepo.create(path.join(systems.base, name));
    await repo.add(...appPackages);
    await repo.publish();
    const files = filesOf(repo).filter((file) => /(\/Release|Packages|[.]deb)$/.test(file));
    expect(files.length).toBe(appPackages.length + 2);
    states.push(files.map((file) => [file, readFileSync(path.join(repo.root, file), 'latin1')]));
  }
  expect(states[0]).toEqual(states[1]);
});

async function refuses(options: string[], reason: string, source?: string): Promise<void> {
  const { code, stderr } = await systems.mmdebstrap('/dev/null', options, source);
  expect(code, stderr).not.toBe(0);
  expect(stderr).toContain(reason);
}

const filesOf = (repo: AptRepo): string[] =>
  readdirSync(repo.root, { recursive: true, encoding: 'utf8' }).sort();
