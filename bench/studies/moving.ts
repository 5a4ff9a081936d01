import { chmodSync, mkdirSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SshServer } from '../../test/support/machine/ssh-server.ts';
import { inEnv, systemArchive } from '../../test/support/packages/debian.ts';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatBytes, formatNs, formatRatio, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ROUNDS = { quick: 3, full: 5 };
const PORT = 22_022;
const MIB = 2 ** 20;
/** Of its own, in the env that has data: files of 1 MiB that can't be compressed. */
const OWN_FILES = 100;
/** As byref compresses, on all cores. */
const ZSTD = 'zstd -q -3 -T0';
const TAR = `tar --create --one-file-system --xattrs --acls --sparse --numeric-owner`;

/** One way to do something: a shell's script, and how many bytes came of it. */
interface Way {
  readonly name: string;
  readonly script: string;
  /** What is done before each time, unmeasured. */
  readonly before?: () => Promise<void>;
  readonly bytes: () => number;
}

/** What is done in several ways; byref's is the first. */
interface Job {
  readonly what: string;
  readonly ways: readonly Way[];
}

/** Backups of an env and moves to another root, beside what people do with a directory or a container. */
export const moving: Study = { name: 'moving', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const site = await makeSite(stage);
  const jobs = [...(await backups(site)), ...(await moves(site))];
  const samples = new Map<Way, { ns: number[]; bytes: number }>();
  const rounds = stage.quick ? ROUNDS.quick : ROUNDS.full;
  for (let round = 0; round <= rounds; round++)
    for (const way of jobs.flatMap(({ ways }) => ways)) {
      await way.before?.();
      const ns = await work(
        stage.worker,
        '/',
        ['run', '/bin/sh', '-euc', way.script],
        site.near.env,
      );
      const each = samples.get(way) ?? { ns: [], bytes: 0 };
      // The first round fills caches.
      if (round > 0) each.ns.push(ns);
      samples.set(way, { ...each, bytes: way.bytes() });
    }
  return table(jobs, samples);
}

interface Site {
  readonly stage: StudyStage;
  readonly dir: string;
  readonly near: ByrefCli;
  readonly far: ByrefCli;
  readonly rsh: string;
  readonly podman: readonly string[];
  /** Debian, as a tar. */
  readonly archive: string;
}

async function makeSite(stage: StudyStage): Promise<Site> {
  const dir = join(stage.backing.dir, 'moving');
  chmodSync(dirname(stage.backing.dir), 0o711);
  const roots: ByrefCli[] = [];
  for (const name of ['near', 'far']) {
    const cli = await byrefCli(join(dir, name));
    stage.cleanup.defer(`close the ${name} root`, () => cli.close());
    roots.push(cli);
  }
  const [near, far] = roots as [ByrefCli, ByrefCli];
  const archive = await systemArchive();
  await near.run('template', 'import', 'debian', archive, '--kind', 'os');
  // A web server has run in it.
  await near.run('create', 'fresh', '--os', 'debian');
  await near.run('mount', 'fresh');
  const served = await inEnv(near.mountDir('fresh'), 'nginx; sleep 1; nginx -s stop');
  if (served.code !== 0) throw new Error(`nginx did not run: ${served.stderr}`);
  await near.run('clone', 'fresh', 'data');
  await near.run('mount', 'data');
  await run('sh', ['-euc', writeOwn(OWN_FILES)], { cwd: near.mountDir('data') });
  const keys = join(dir, 'ssh');
  mkdirSync(keys);
  const server = await SshServer.start(keys, '127.0.0.1', PORT);
  stage.cleanup.defer('end the ssh server', () => server.end());
  const podman = await container(stage, dir, archive);
  return { stage, dir, near, far, rsh: server.rsh, podman, archive };
}

const writeOwn = (files: number): string =>
  `mkdir -p home/own; for i in $(seq ${files}); do head -c ${MIB} /dev/urandom >home/own/$i; done`;

/** Makes containers of the same tree, with the same data. Returns podman's words. */
async function container(stage: StudyStage, dir: string, archive: string): Promise<string[]> {
  const state = mkdtempSync('/run/bench-');
  stage.cleanup.defer('remove podman’s state', async () => {
    await run('rm', ['-rf', state]);
  });
  const words = [
    ...['podman', '--root', join(dir, 'podman'), '--runroot', state, '--runtime', 'runc'],
    ...['--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
  ];
  const podman = (...more: string[]): Promise<string> =>
    run(words[0]!, [...words.slice(1), ...more]);
  stage.cleanup.defer('remove podman’s containers', async () => {
    await podman('rm', '--all', '--force').catch(() => undefined);
    await podman('rmi', '--all', '--force').catch(() => undefined);
  });
  await podman('import', '--quiet', archive, 'bench');
  for (const name of ['fresh', 'data']) {
    await podman('create', '--name', name, '--network', 'none', 'bench', '/bin/true');
    if (name === 'fresh') continue;
    const mounted = (await podman('mount', name)).trim();
    await run('sh', ['-euc', writeOwn(OWN_FILES)], { cwd: mounted });
    await podman('umount', name);
  }
  return words;
}

async function backups({ dir, near, podman }: Site): Promise<Job[]> {
  const out = (name: string): string => join(dir, name);
  const sized = (name: string) => (): number => statSync(out(name)).size;
  const whole = (env: string): Way[] => [
    { name: 'byref', script: `${BYREF} backup ${env} ${out('b')} >/dev/null`, bytes: sized('b') },
    {
      name: 'tar, zstd',
      script: `${TAR} --directory ${near.mountDir(env)} . | ${ZSTD} >${out('t')}`,
      bytes: sized('t'),
    },
    {
      name: 'podman export, zstd',
      script: `${podman.join(' ')} export ${env} | ${ZSTD} >${out('p')}`,
      bytes: sized('p'),
    },
  ];
  await near.run('backup', 'data', out('base'));
  const snapshot = out('snapshot');
  const list = (file: string): string => `${TAR} --listed-incremental=${file}`;
  await run('sh', ['-euc', `${list(snapshot)} --directory ${near.mountDir('data')} . >/dev/null`]);
  const change = async (): Promise<void> => {
    await run(
      'sh',
      ['-euc', `cp ${snapshot} ${snapshot}.again; head -c ${MIB} /dev/urandom >home/own/1`],
      {
        cwd: near.mountDir('data'),
      },
    );
  };
  return [
    { what: 'backup, fresh', ways: whole('fresh') },
    { what: `backup, with ${OWN_FILES} MiB of its own`, ways: whole('data') },
    {
      what: 'incremental backup of that, 1 MiB changed',
      ways: [
        {
          name: 'byref',
          before: change,
          script: `${BYREF} backup data ${out('i')} --incremental-from ${out('base')} >/dev/null`,
          bytes: sized('i'),
        },
        {
          name: 'tar --listed-incremental, zstd',
          before: change,
          script: `${list(`${snapshot}.again`)} --directory ${near.mountDir('data')} . | ${ZSTD} >${out('ti')}`,
          bytes: sized('ti'),
        },
      ],
    },
  ];
}

async function moves({ dir, near, far, rsh, archive }: Site): Promise<Job[]> {
  const report = join(dir, 'report');
  const settings = Object.entries(far.env).map(([name, value]) => `${name}=${value}`);
  const path = `PATH=${process.env['PATH'] ?? ''}`;
  const receiver = `env ${settings.join(' ')} ${path} ${BYREF}`;
  const move = (env: string): string =>
    `${BYREF} move ${env} 127.0.0.1 --keep --json --rsh '${rsh}' --remote-byref '${receiver}' >${report}`;
  const gone = async (env: string): Promise<void> => {
    await far.run('destroy', env).catch(() => undefined);
  };
  const target = join(dir, 'target');
  const empty = async (): Promise<void> => {
    await run('rm', ['-rf', target]);
    mkdirSync(target);
  };
  const sent = (pattern: RegExp) => (): number =>
    Number(pattern.exec(readText(report))?.[1]?.replaceAll(',', ''));
  const rsync = (env: string, more = ''): Way => ({
    name: `rsync -aHAX ${more === '' ? '' : '--link-dest'}`.trim(),
    before: empty,
    script: `rsync -aHAXx --numeric-ids --stats ${more} -e '${rsh}' ${near.mountDir(env)}/ 127.0.0.1:${target}/ >${report}`,
    bytes: sent(/Total bytes sent: ([\d,]+)/),
  });
  const piped = (env: string): Way => ({
    name: 'tar, zstd',
    before: empty,
    script: `${TAR} --directory ${near.mountDir(env)} . | ${ZSTD} | tee ${report} |
      ${rsh} 127.0.0.1 'zstd -dcq | tar --extract --xattrs --acls --numeric-owner --directory ${target}'`,
    bytes: () => statSync(report).size,
  });
  const byref = (env: string, before: () => Promise<void>): Way => ({
    ...{ name: 'byref', before, script: move(env), bytes: sent(/"bytes":\s*(\d+)/) },
  });
  const without = async (): Promise<void> => {
    for (const env of ['fresh', 'data']) await gone(env);
    await far.run('template', 'rm', 'debian').catch(() => undefined);
    await far.run('gc');
    const left = JSON.parse(await far.run('template', 'list', '--json')) as unknown[];
    if (left.length > 0) throw new Error('the template is still there');
  };
  const plain = join(dir, 'plain');
  mkdirSync(plain);
  await run('tar', ['--extract', '--file', archive, '--directory', plain]);
  return ['fresh', 'data'].flatMap((env) => [
    {
      what: `move, ${env}, the other side has nothing`,
      ways: [byref(env, without), piped(env), rsync(env)],
    },
    {
      what: `move, ${env}, the other side has the template`,
      ways: [byref(env, () => gone(env)), rsync(env, `--link-dest=${plain}`)],
    },
  ]);
}

function readText(file: string): string {
  return statSync(file).size > MIB ? '' : readFileSync(file, 'utf8');
}

function table(
  jobs: readonly Job[],
  samples: ReadonlyMap<Way, { readonly ns: readonly number[]; readonly bytes: number }>,
): StudyTable {
  const figures: Record<string, number> = {};
  const rows = jobs.flatMap(({ what, ways }) => {
    const own = samples.get(ways[0]!)!;
    return ways.map((way) => {
      const { ns, bytes } = samples.get(way)!;
      figures[`${what}, ${way.name} ns`] = median(ns);
      figures[`${what}, ${way.name} bytes`] = bytes;
      const ratios = [median(own.ns) / median(ns), own.bytes / bytes].map((ratio) =>
        formatRatio(ratio),
      );
      return [what, way.name, formatNs(median(ns)), formatBytes(bytes), ...ratios];
    });
  });
  return {
    name: 'moving',
    title:
      'Backups and moves of a Debian env with systemd and nginx, over ssh on the loopback interface (target: a fresh backup below 200 KiB)',
    columns: ['what', 'by', 'time', 'bytes', 'byref to it, time', 'byref to it, bytes'],
    rows,
    figures,
  };
}
