/** The limit of an env's bytes: what goes beyond it is refused at the write, whatever way it comes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { BYREF, output, sh } from '../../support/machine/program.ts';
import { TestRoot } from '../../support/machine/root.ts';
import { privateBytes, shown } from './private-bytes.ts';

const MIB = 2 ** 20;
const LIMIT = 8 * MIB;
const MAP_BLOCK = 4096;
const ENV = 1;
const EXCEEDED = 'Disk quota exceeded';

let root: TestRoot;
let m: string;

beforeAll(async () => {
  root = await TestRoot.create();
  const source = root.directory('source');
  mkdirSync(path.join(source, 'usr'));
  writeFileSync(path.join(source, 'usr/large'), Buffer.alloc(5 * MIB, 1));
  writeFileSync(path.join(source, 'usr/small'), 'small');
  await root.import('t', source);
  for (const name of ['full', 'neighbour']) await root.create(name, 't');
  await root.ok('set', 'full', `limits.disk=${LIMIT}`);
  await root.mount('neighbour');
  m = await root.mount('full');
});
afterEach(async () => {
  await sh('rm -rf "$1"/[!u]*', [m]);
  await root.ok('set', 'full', `diskspace=${LIMIT}`);
});
afterAll(() => root.dispose());

/** Runs a script in the env's root directory; what it printed, with its errors. */
async function inEnv(script: string, ...args: string[]): Promise<string> {
  const { stdout } = await sh(`set +e; cd "$1"; shift; { ${script}; } 2>&1`, [m, ...args]);
  return stdout;
}

const python = (program: string): Promise<string> => output('python3', ['-c', program, m]);

test('dd is stopped at the limit, to the byte, and goes on after rm', async () => {
  for (let round = 0; round < 3; round++) {
    const said = await inEnv('dd if=/dev/zero of=file bs=64k count=1000');
    expect(said).toContain(EXCEEDED);
    expect(said).toContain(`${LIMIT} bytes`);
    expect(privateBytes(root, ENV)).toBe(LIMIT);
    expect(await shown(m)).toMatchObject({ size: LIMIT, used: LIMIT, available: 0 });
    expect(await inEnv('rm file')).toBe('');
    expect(await shown(m)).toMatchObject({ size: LIMIT, used: 0, available: LIMIT });
  }
});

test('what was removed is never on disk beyond the limit', async () => {
  const state = { ended: false };
  const writer = inEnv(`
    for i in $(seq 40); do dd if=/dev/zero of=f$((i % 3)) bs=1M count=6; rm -f f$(((i + 1) % 3)); done`);
  void writer.finally(() => {
    state.ended = true;
  });
  let most = 0;
  while (!state.ended) {
    most = Math.max(most, privateBytes(root, ENV));
    await sleep(1);
  }
  expect(await writer).toContain(EXCEEDED);
  expect(most).toBeLessThanOrEqual(LIMIT);
  expect(most).toBeGreaterThan(LIMIT / 2);
});

test('a write that fits in part is short, and the next one is refused', async () => {
  const program = `
import errno, os, sys
for flags in os.O_WRONLY, os.O_RDWR:
    file = os.open(sys.argv[1] + "/file", flags | os.O_CREAT | os.O_TRUNC)
    print(os.pwrite(file, b"x" * 4096, 0), os.pwrite(file, b"x" * (9 << 20), 4096))
    try: os.pwrite(file, b"x", ${LIMIT})
    except OSError as e: print(errno.errorcode[e.errno])
    # What has its blocks can be written anew.
    print(os.pwrite(file, b"y" * 100000, 12345))
    os.close(file)
`;
  const each = `4096 ${LIMIT - 4096}\nEDQUOT\n100000\n`;
  expect(await python(program)).toBe(each + each);
});

test('many small files, appends and sparse files', async () => {
  const program = `
import errno, os, sys
for i in range(10000):
    file = os.open(sys.argv[1] + "/n%d" % i, os.O_WRONLY | os.O_CREAT)
    try: os.write(file, b"x")
    except OSError as e: sys.exit(print(i, errno.errorcode[e.errno]))
    os.close(file)
`;
  expect(await python(program)).toBe(`${LIMIT / 4096} EDQUOT\n`);
  expect(privateBytes(root, ENV)).toBe(LIMIT);
  expect(await inEnv('rm n*; echo there >again; cat again')).toBe('there\n');
  const appended = await inEnv(
    'rm again; while head -c 50000 /dev/zero >>log; do :; done; stat -c %s log',
  );
  expect(appended).toContain(EXCEEDED);
  // Where the disk has no room in one piece, a block of ext4's own says where the pieces are.
  const size = Number(appended.trim().split('\n').at(-1));
  expect(size).toBeLessThanOrEqual(LIMIT);
  expect(size).toBeGreaterThanOrEqual(LIMIT - MAP_BLOCK);
  expect(privateBytes(root, ENV)).toBe(LIMIT);
  // A hole takes nothing, however long; its blocks do.
  const sparse = await inEnv(`
    rm log; truncate -s 1T sparse; df -B1 --output=used . | tail -1
    dd if=/dev/zero of=sparse bs=64k seek=1000 count=1000 conv=notrunc; du -B1 sparse`);
  expect(sparse.split('\n')[0]?.trim()).toBe('0');
  expect(sparse).toContain(EXCEEDED);
  expect(sparse).toContain(`${LIMIT}\tsparse`);
});

test('fallocate is whole or refused; what it has taken can be written', async () => {
  expect(await inEnv(`fallocate -l ${LIMIT + 1} file`)).toContain(EXCEEDED);
  expect(await inEnv(`fallocate -l ${LIMIT} file; echo >other`)).toContain(EXCEEDED);
  const written = await inEnv('dd if=/dev/urandom of=file bs=1M count=8 conv=notrunc');
  expect(written).not.toContain(EXCEEDED);
  expect(privateBytes(root, ENV)).toBe(LIMIT);
  expect(await inEnv('fallocate -p -o 0 -l 1M file; fallocate -l 1M other')).toBe('');
  expect(privateBytes(root, ENV)).toBe(LIMIT);
});

test('copy_file_range is short, then refused', async () => {
  const program = `
import errno, os, sys
m = sys.argv[1]
source = os.open(m + "/usr/large", os.O_RDONLY)
file = os.open(m + "/file", os.O_RDWR | os.O_CREAT)
print(os.copy_file_range(source, file, 5 << 20, 0, 0), os.copy_file_range(source, file, 5 << 20, 0, 5 << 20))
try: os.copy_file_range(source, file, 5 << 20, 0, 8 << 20)
except OSError as e: print(errno.errorcode[e.errno])
`;
  expect(await python(program)).toBe(`${5 * MIB} ${3 * MIB}\nEDQUOT\n`);
  expect(privateBytes(root, ENV)).toBe(LIMIT);
});

test('stores through a mapping are kept as far as they fit; msync and close say that they are not', async () => {
  const program = `
import errno, mmap, os, sys
def said(work):
    try: work(); return "ok"
    except OSError as e: return errno.errorcode[e.errno]
file = os.open(sys.argv[1] + "/file", os.O_RDWR | os.O_CREAT)
os.ftruncate(file, 20 << 20)
stored = mmap.mmap(file, 20 << 20)
for at in range(0, 20 << 20, 4096): stored[at] = 1
print(said(stored.flush))
stored[0] = 2
print(said(lambda: stored.flush(0, 4096)))
`;
  expect(await python(program)).toBe('EDQUOT\nok\n');
  expect(privateBytes(root, ENV)).toBe(LIMIT);
  expect((await shown(m)).used).toBe(LIMIT);
});

test('a file that is written, read and mapped at once is one file', async () => {
  const program = `
import mmap, os, sys
name = sys.argv[1] + "/file"
writer = os.open(name, os.O_WRONLY | os.O_CREAT)
os.ftruncate(writer, 4096)
other = os.open(name, os.O_RDWR)
mapped = mmap.mmap(other, 4096)
seen = []
for i in range(0, 60, 3):
    os.pwrite(writer, b"a", i)
    seen.append(mapped[i:i + 1])
    mapped[i + 1] = 98
    seen.append(os.pread(other, 2, i))
    reader = os.open(name, os.O_RDONLY)
    os.pwrite(other, b"c", i + 2)
    seen.append(os.pread(reader, 3, i) + mapped[i:i + 3])
    os.close(reader)
print(set(seen[0::3]), set(seen[1::3]), set(seen[2::3]))
os.close(writer)
os.close(other)
mapped.close()
print(os.read(os.open(name, os.O_RDONLY), 60) == b"abc" * 20)
`;
  expect(await python(program)).toBe("{b'a'} {b'ab'} {b'abcabc'}\nTrue\n");
});

test('a copy of a template file is refused when it is opened; cutting, renaming and removing never are', async () => {
  const said = await inEnv(`
    dd if=/dev/zero of=file bs=1M count=4
    echo x >>usr/large; echo "open $?"
    dd if=/dev/zero of=file bs=1M count=10
    chmod 600 usr/large && mv usr/large usr/moved && mv usr/moved usr/large && echo renamed
    truncate -s 100 usr/large || echo cut: refused
    truncate -s 1M file; truncate -s 100 usr/large && stat -c %s usr/large
    rm file && rm usr/large && echo removed`);
  expect(said).toContain('open 1');
  expect(said).toContain(`usr/large: ${EXCEEDED}`);
  expect(said).toContain('renamed');
  // Its first 100 bytes have to be copied.
  expect(said).toContain('cut: refused\n100\nremoved');
});

test('an unlinked file counts as long as it is open', async () => {
  const program = `
import errno, os, sys
m = sys.argv[1]
def write(name):
    file = os.open(m + name, os.O_WRONLY | os.O_CREAT)
    try: return file, os.write(file, b"x" * ${LIMIT})
    except OSError as e: return file, errno.errorcode[e.errno]
first, wrote = write("/a")
os.unlink(m + "/a")
print(wrote, write("/b")[1])
os.close(first)
print(write("/c")[1])
`;
  expect(await python(program)).toBe(`${LIMIT} EDQUOT\n${LIMIT}\n`);
});

test('a limit below what is used refuses only what is new', async () => {
  await inEnv('dd if=/dev/zero of=file bs=1M count=6');
  await root.ok('set', 'full', 'limits.disk=1MiB');
  expect(await shown(m)).toMatchObject({ size: MIB, available: 0 });
  const said = await inEnv(`
    echo x >new; echo y | dd of=file conv=notrunc; chmod 600 file && mv file other && echo changed
    truncate -s 512K other && echo z >new && cat new`);
  expect(said).toContain(EXCEEDED);
  expect(said).toContain('changed\nz\n');
  expect(await root.info('full')).toMatchObject({ privateBytes: 512 * 1024 + 4096 });
  const info = await root.ok('info', 'full');
  expect(info).toMatch(/private: +516 KiB of 1MiB in 2 files/);
});

test('without a limit df is the disk’s, and so it is next door', async () => {
  const [disk, neighbour] = [
    await shown(root.path),
    await shown(path.join(root.path, 'mnt/neighbour')),
  ];
  expect(neighbour.size).toBe(disk.size);
  await root.ok('set', 'full', 'limits.disk=');
  expect((await shown(m)).size).toBe(disk.size);
  expect(await inEnv('dd if=/dev/zero of=file bs=1M count=10')).not.toContain(EXCEEDED);
  // By passthrough; then it is counted again.
  await root.ok('set', 'full', `limits.disk=${LIMIT}`);
  expect(await shown(m)).toMatchObject({ used: LIMIT, available: 0 });
  await inEnv('truncate -s 7M file');
  expect((await shown(m)).used).toBe(7 * MIB);
});

test('what was open by passthrough before there was a limit goes on, and counts', async () => {
  await root.ok('set', 'full', 'limits.disk=');
  const program = `
import errno, os, sys
m = sys.argv[1]
file = os.open(m + "/file", os.O_RDWR | os.O_CREAT)
print("open", flush=True)
sys.stdin.readline()
print(os.write(file, b"x" * (1 << 20)), os.pread(file, 1, 0))
reader = os.open(m + "/file", os.O_RDONLY)
writer = os.open(m + "/file", os.O_WRONLY)
try: print(os.pwrite(writer, b"y" * (9 << 20), 0), os.pread(reader, 1, 0))
except OSError as e: print(errno.errorcode[e.errno])
`;
  const script = `
    coproc python3 -c "$1" "$2"
    read -r line <&"\${COPROC[0]}"
    "$3" set full limits.disk=${LIMIT} >/dev/null
    exec 3<&"\${COPROC[0]}"
    echo >&"\${COPROC[1]}"
    cat <&3`;
  const { stdout } = await sh(script, [program, m, BYREF], { env: root.env });
  expect(stdout).toBe(`${MIB} b'x'\n${LIMIT} b'y'\n`);
});

test('a driver that is killed, and one that comes later, count the same', async () => {
  await inEnv(
    'dd if=/dev/zero of=a bs=1M count=5; fallocate -l 1M b; rm usr/small; mkdir d; echo x >d/x',
  );
  const before = await shown(m);
  const { driverPid } = await root.info('full');
  process.kill(driverPid!, 'SIGKILL');
  await root.ok('umount', '--force', 'full', 'neighbour');
  await root.mount('neighbour');
  m = await root.mount('full');
  expect(await shown(m)).toEqual({
    ...before,
    inodesUsed: expect.anything(),
    inodes: expect.anything(),
  });
  expect((await shown(m)).used).toBe(privateBytes(root, ENV));
  expect(await inEnv('dd if=/dev/zero of=c bs=1M count=5')).toContain(EXCEEDED);
  expect(privateBytes(root, ENV)).toBe(LIMIT);
});

test('over libfuse 2 it holds as well', async () => {
  await root.umount('full');
  const other = await root.mount('full', '--transport', 'fuse-native');
  const { stdout } = await sh(
    'dd if=/dev/zero of="$1/file" bs=1M count=10 2>&1 || df -B1 --output=size,used "$1"',
    [other],
  );
  expect(stdout).toContain(EXCEEDED);
  expect(stdout).toMatch(new RegExp(`${LIMIT} +${LIMIT}`));
  await root.umount('full');
  m = await root.mount('full');
});
