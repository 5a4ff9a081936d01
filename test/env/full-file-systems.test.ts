/** File systems that are full and stay so: in their bytes, in what they keep about files, or in inodes. */
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { output, sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';

const MIB = 2 ** 20;
const CASE_MS = 180_000;

/** Programs that fill a directory until nothing fits. */
const FILL = {
  // First in large pieces, then in small ones.
  bytes: `
for size in 1 << 20, 65536, 4096:
    try:
        with open("filler-%d" % size, "wb", 0) as file:
            while True: file.write(bytes(size))
    except OSError: pass
os.sync()`,
  // Btrfs has files as small as these beside their records, and not where the bytes of others are.
  records: `
subprocess.run(["mount", "-o", "remount,max_inline=3900", sys.argv[1]], check=True)
data = os.urandom(3800)
failed = i = 0
while failed < 3:
    i += 1
    try:
        with open("small-%d" % i, "wb", 0) as file: file.write(data)
    except OSError: failed += 1`,
  inodes: `
i = 0
try:
    while True:
        os.mkdir("d%d" % i)
        i += 1
except OSError: pass`,
} as const;

async function fill(disk: SmallDisk, ways: readonly (keyof typeof FILL)[]): Promise<void> {
  const program = ways.map((way) => FILL[way]).join('\n');
  const begin =
    'import os, subprocess, sys\nos.chdir(sys.argv[1]); os.mkdir("fillers"); os.chdir("fillers")';
  await output('python3', ['-c', `${begin}\n${program}`, disk.place]);
}

/** Makes files until that fails, and prints why. */
const WRITE_MORE = `
import os, sys
try:
    for i in range(100000):
        with open(sys.argv[1] + "/new-%d" % i, "wb", 0) as file: file.write(os.urandom(4096))
except OSError as error: print(error.strerror)
`;

/** Gives one file another name, and another file one more, time and again, and takes those away; then it removes what the template has. */
const MOVE_NAMES = `
import os, sys
os.chdir(sys.argv[1])
rounds = int(sys.argv[2])
for i in range(rounds): os.rename("own", "moved"); os.rename("moved", "own"); os.link("f", "more%d" % i)
for i in range(rounds): os.unlink("more%d" % i)
for i in range(rounds): os.rename("own", "moved"); os.link("f", "own"); os.rename("moved", "own")
for directory in os.listdir("many"):
    for name in os.listdir("many/" + directory): os.unlink("many/%s/%s" % (directory, name))
    os.rmdir("many/" + directory)
try: os.mkdir("new")
except OSError as error: print(error.strerror)
`;

const CASES = [
  ['btrfs', 115, ['bytes']],
  ['btrfs', 115, ['bytes', 'records']],
  ['ext4', 48, ['bytes']],
  ['ext4-of-few-inodes', 48, ['inodes']],
] as const;
/** Those for which the whole suite has no time: scripts/soak.sh. */
const FURTHER_CASES = [
  ['btrfs', 115, ['records']],
  ['xfs', 320, ['bytes']],
  ['xfs-without-reflinks', 320, ['bytes']],
] as const;

test.each([...CASES, ...(process.env['BYREF_SOAK'] === undefined ? [] : FURTHER_CASES)])(
  '%s of %i MiB, full of %j: programs are told, all else goes on',
  async (type, size, ways) => {
    const disk = new SmallDisk(size * MIB, type);
    const root = await TestRoot.create({}, disk.place);
    try {
      const source = root.directory('source');
      writeFileSync(path.join(source, 'read'), 'text\n');
      writeFileSync(path.join(source, 'changed'), 'before\n');
      await root.import('t', source);
      // A version that nothing needs, for gc to find.
      for (const byte of 'xy') {
        writeFileSync(path.join(source, 'large'), Buffer.alloc(MIB, byte));
        await root.import('unused', source);
      }
      await root.ok('patch', 'unused', '--to', '2');
      for (const env of ['e', 'idle']) await root.create(env, 't');
      const at = await root.mount('e');
      await root.mount('idle');
      await sh('echo mine >changed; mkdir dir; echo more >dir/more; sync', [], { cwd: at });
      const [driver] = root.processes().filter((line) => line.includes('byref-driver'));

      await fill(disk, ways);
      expect(await output('python3', ['-c', WRITE_MORE, at])).toBe('No space left on device\n');
      expect(await output('cat', [`${at}/read`, `${at}/changed`, `${at}/dir/more`])).toBe(
        'text\nmine\nmore\n',
      );
      expect(await root.ok('list')).toContain('idle');
      await root.ok('umount', 'idle');
      expect(await root.ok('gc', '--keep', '0')).toContain('removed unused@1');
      expect(await output('cat', [`${at}/changed`])).toBe('mine\n');
      expect(root.processes()).toContain(driver);
      await root.ok('umount', 'e');
      await output('rm', ['-r', path.join(disk.place, 'fillers')]);
      expect(await output('cat', [`${await root.mount('e')}/changed`])).toBe('mine\n');
      await root.umount();
      expect(await root.findings()).toEqual([]);
    } finally {
      await root.dispose();
      disk.dispose();
    }
  },
  CASE_MS,
);

test(
  'ext4: names are moved and given on a full disk, as there',
  async () => {
    const disk = new SmallDisk(32 * MIB);
    const root = await TestRoot.create({}, disk.place);
    try {
      const source = root.directory('source');
      for (let i = 0; i < 40; i++) writeFileSync(path.join(source, `f${i}`), `${i}\n`);
      const at = await root.mounted('e', source);
      await sh('mkdir sub; for i in 1 2 3; do echo $i >own$i; done; sync', [], { cwd: at });
      await fill(disk, ['bytes']);
      const script = `
      i=0; while mkdir full$i 2>/dev/null; do i=$((i + 1)); done
      set -e
      for i in $(seq 0 39); do mv f$i sub/g$i; ln sub/g$i h$i; done
      mv own1 sub; ln own2 sub/own2; mv -T sub moved; cat moved/g7 h8 moved/own1 moved/own2
      ! mkdir new 2>&1`;
      const { stdout, stderr, code } = await sh(script, [], { cwd: at });
      expect(stderr).toBe('');
      expect(stdout).toContain('7\n8\n1\n2\n');
      expect(code).toBe(0);
      await root.umount();
      await output('rm', ['-r', path.join(disk.place, 'fillers')]);
      expect(await output('cat', [`${await root.mount('e')}/moved/g7`])).toBe('7\n');
    } finally {
      await root.dispose();
      disk.dispose();
    }
  },
  CASE_MS,
);

test(
  'ext4: names are moved and removed without end, also in an env that was not written to before',
  async () => {
    const disk = new SmallDisk(32 * MIB);
    const root = await TestRoot.create({}, disk.place);
    try {
      const source = root.directory('source');
      writeFileSync(path.join(source, 'f'), 'template\n');
      writeFileSync(path.join(source, 'own'), 'template\n');
      for (const part of ['a', 'b']) {
        mkdirSync(path.join(source, 'many', part), { recursive: true });
        for (let i = 0; i < 150; i++) writeFileSync(path.join(source, 'many', part, `${i}`), '');
      }
      const mnt = [await root.mounted('e', source)];
      await root.create('late', 'template-of-e');
      mnt.push(await root.mount('late'));
      await sh('echo mine >own; sync', [], { cwd: mnt[0]! });
      await fill(disk, ['bytes']);
      for (const [at, rounds] of [
        [mnt[0], 250],
        [mnt[1], 80],
      ] as const) {
        const { stdout, stderr } = await sh('python3 -c "$1" "$2" "$3"', [
          MOVE_NAMES,
          at!,
          `${rounds}`,
        ]);
        expect(stderr, at).toBe('');
        expect(stdout).toBe('No space left on device\n');
      }
      await root.umount();
      expect(await root.findings()).toEqual([]);
      await output('rm', ['-r', path.join(disk.place, 'fillers')]);
      for (const [env, text] of [
        ['e', 'mine\n'],
        ['late', 'template\n'],
      ] as const) {
        const at = await root.mount(env);
        expect(await output('cat', [`${at}/own`])).toBe(text);
        expect(await output('ls', [at])).toBe('f\nmany\nown\n');
        expect(await output('ls', [`${at}/many`])).toBe('');
      }
    } finally {
      await root.dispose();
      disk.dispose();
    }
  },
  CASE_MS,
);

test('a root of an older byref on Btrfs gets its lock file in memory, and a copy of it one of its own', async () => {
  const disk = new SmallDisk(150 * MIB, 'btrfs');
  const root = await TestRoot.create({}, disk.place);
  try {
    const lock = path.join(root.path, 'meta/lock.mdb');
    await sh('rm "$1"; head -c 33000 /dev/zero >"$1"', [lock]);
    await root.ok('list');
    expect(lstatSync(lock).isSymbolicLink()).toBe(true);
    const first = await output('readlink', [lock]);
    const copy = path.join(root.base, 'copy');
    await output('cp', ['-a', root.path, copy]);
    await root.run(['list', '--root', copy]);
    expect(await output('readlink', [lock])).toBe(first);
    const other = (await output('readlink', [path.join(copy, 'meta/lock.mdb')])).trim();
    expect(other).not.toBe(first.trim());
    await output('rm', [other]);
  } finally {
    await root.dispose();
    disk.dispose();
  }
});
