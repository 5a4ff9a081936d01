import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { embeddedKey } from '../../../src/manager/recipes/build/apt-sources.ts';
import { programHash } from '../machine/program.ts';
import { TestRoot } from '../machine/root.ts';
import { withContent } from '../trees/tar-members.ts';
import type { DebDescription } from './deb.ts';
import { keptArchive } from './tiny-os.ts';
import type { TinySystems } from './tiny-systems.ts';

/** The one file of a system that `template build` makes in which its repository is named. */
const SOURCES = './etc/apt/sources.list.d/0000byref.sources';

/**
 * Writes an archive of the tiny system as `template build` makes it, whose apt knows the repository. Building takes seconds,
 * and every second file of tests begins with it: one is kept for as long as byref and the packages stay the same.
 *
 * @param newer packages that the repository has besides, for as long as the system is built
 */
export async function writeBuiltSystem(
  systems: TinySystems,
  archive: string,
  newer: readonly DebDescription[] = [],
): Promise<void> {
  const state = createHash('sha256').update(programHash()).update(JSON.stringify(newer));
  const name = `built-${state.digest('hex').slice(0, 16)}.tar`;
  const kept = await keptArchive(name, (file) =>
    systems.publishing(newer, () => build(systems, file)),
  );
  const { server, repo } = systems;
  const key = embeddedKey(readFileSync(repo.keyring));
  const ofThisRepository = (text: string): string =>
    text
      .replace(/^URIs: .*$/m, `URIs: ${server.url}`)
      .replace(/^Signed-By:[\s\S]*-----END .*$/m, `Signed-By: ${key}`);
  writeFileSync(archive, withContent(readFileSync(kept), SOURCES, ofThisRepository));
}

async function build({ server, repo }: TinySystems, archive: string): Promise<void> {
  const root = await TestRoot.create();
  try {
    const config = path.join(root.base, 'tiny.yaml');
    const from = { repository: server.url, keyring: repo.keyring };
    const tiny = { name: 'tiny', suite: 'stable', variant: 'custom', packages: ['tiny-base'] };
    writeFileSync(config, JSON.stringify({ ...tiny, ...from }));
    await root.ok('template', 'build', config);
    await root.ok('template', 'export', 'tiny', archive);
  } finally {
    await root.dispose();
  }
}
