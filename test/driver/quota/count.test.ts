/** What the driver counts, after any operations and at the next mount, is what is on disk; and never beyond the limits. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { output, sh } from '../../support/machine/program.ts';
import { propertyRuns } from '../../support/machine/property-runs.ts';
import { TestRoot } from '../../support/machine/root.ts';
import { privateBytes, shown } from './private-bytes.ts';

const KIB = 1024;
const BLOCK = 4 * KIB;
const LIMITS = { bytes: 256 * KIB, inodes: 8 };
const ENV = 1;

let root: TestRoot;
let m: string;

beforeAll(async () => {
  root = await TestRoot.create();
  const source = root.directory('source');
  mkdirSync(path.join(source, 't'));
  for (let i = 0; i < 4; i++)
    writeFileSync(path.join(source, 't', `t${i}`), Buffer.alloc(60 * KIB * i, 1));
  await root.import('t', source);
  await root.create('env', 't');
  m = await root.mount('env');
  await root.ok('set', 'env', `limits.disk=${LIMITS.bytes}`, `limits.disk.inodes=${LIMITS.inodes}`);
});
afterAll(() => root.dispose());

/** Makes operations in its root directory; says how many of them ended how. */
const PROGRAM = `
import collections, ctypes, errno, json, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
os.chdir(sys.argv[1])
kept = []

def opened(name, flags):
    return os.open(name, flags | os.O_CREAT)

def each(file, work):
    try: return work(file)
    finally: os.close(file)

def fallocate(file, mode, offset, length):
    if libc.fallocate(file, mode, offset, max(1, length)) < 0: raise OSError(ctypes.get_errno(), "")

def store(file, offset, length):
    size = os.fstat(file).st_size
    if size == 0: return
    at = offset % size
    mapped = mmap.mmap(file, size)
    for i in range(at, min(size, at + length)): mapped[i] = 7
    try: mapped.flush()
    finally: mapped.close()

def copy(source, file, offset, length):
    try: os.copy_file_range(source, file, length, 0, offset)
    finally: os.close(source)

def hold(name):
    kept.append(opened(name, os.O_RDWR))
    os.unlink(name)

def run(op, name, other, offset, length):
    wr, rw = os.O_WRONLY, os.O_RDWR
    if op == "write": each(opened(name, wr), lambda f: os.pwrite(f, b"x" * length, offset))
    elif op == "rewrite": each(opened(name, rw), lambda f: os.pwrite(f, b"y" * length, offset))
    elif op == "append": each(opened(name, wr | os.O_APPEND), lambda f: os.write(f, b"z" * length))
    elif op == "empty": each(opened(name, wr | os.O_TRUNC), lambda f: None)
    elif op == "truncate": os.truncate(name, offset)
    elif op == "allocate": each(opened(name, rw), lambda f: fallocate(f, 0, offset, length))
    elif op == "reserve": each(opened(name, rw), lambda f: fallocate(f, 1, offset, length))
    elif op == "punch": each(opened(name, rw), lambda f: fallocate(f, 3, offset, length))
    elif op == "zero": each(opened(name, rw), lambda f: fallocate(f, 16, offset, length))
    elif op == "store": each(opened(name, rw), lambda f: store(f, offset, length))
    elif op == "copy": each(opened(name, rw), lambda f: copy(os.open(other, os.O_RDONLY), f, offset, length))
    elif op == "unlink": os.unlink(name)
    elif op == "hold": hold(name)
    elif op == "held" and kept: os.pwrite(kept[-1], b"h" * length, offset)
    elif op == "let go" and kept: os.close(kept.pop())
    elif op == "rename": os.rename(name, other)
    elif op == "link": os.link(name, other)
    elif op == "symlink": os.symlink("to", name)
    elif op == "mkdir": os.mkdir("dir-" + name.replace("/", "-"))
    elif op == "rmdir": os.rmdir("dir-" + name.replace("/", "-"))
    elif op == "chmod": os.chmod(name, offset & 0o777 | 0o600)

ended = collections.Counter()
for step in json.load(sys.stdin):
    try:
        run(*step)
        ended["ok"] += 1
    except OSError as e:
        ended[errno.errorcode[e.errno]] += 1
for file in kept: os.close(file)
# With the bytes the file system below allocates its maps of them.
for dir, dirs, files in os.walk("."):
    for name in files:
        if not os.path.islink(os.path.join(dir, name)):
            file = os.open(os.path.join(dir, name), os.O_RDONLY)
            os.fsync(file)
            os.close(file)
root = os.open(".", os.O_RDONLY)
os.fsync(root)
print(json.dumps(ended))
`;

const OPERATIONS = [
  ...[
    'write',
    'rewrite',
    'append',
    'empty',
    'truncate',
    'allocate',
    'reserve',
    'punch',
    'zero',
    'store',
    'copy',
  ],
  ...['unlink', 'hold', 'held', 'let go', 'rename', 'link', 'symlink', 'mkdir', 'rmdir', 'chmod'],
];
const name = fc.constantFrom('a', 'b', 'c', 'd', 't/t1', 't/t2', 't/t3');
const step = fc.tuple(
  fc.constantFrom(...OPERATIONS),
  name,
  name,
  fc.oneof(fc.nat({ max: 300 * KIB }), fc.constantFrom(0, BLOCK, 64 * KIB)),
  fc.oneof(fc.nat({ max: 200 * KIB }), fc.constantFrom(1, BLOCK, 100 * KIB)),
);

/** What is on disk agrees with what df in the env says; soon, since removed files go a moment later. */
async function agrees(): Promise<void> {
  await expect
    .poll(
      async () => {
        const { used, inodesUsed } = await shown(m);
        const { privateInodes } = await root.info('env');
        const bytes = Math.min(privateBytes(root, ENV), LIMITS.bytes);
        return { bytes: used - bytes, inodes: inodesUsed - privateInodes };
      },
      { timeout: 30_000 },
    )
    .toEqual({ bytes: 0, inodes: 0 });
  const { inodesUsed } = await shown(m);
  // A file of more than four pieces has a block with the list of them.
  expect(privateBytes(root, ENV)).toBeLessThanOrEqual(LIMITS.bytes + 8 * BLOCK);
  expect(inodesUsed).toBeLessThanOrEqual(LIMITS.inodes);
}

test('the count is what du finds, after random operations and after a mount', async () => {
  const all: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 200 }), async (steps) => {
      await sh('find "$1" -mindepth 1 -not -path "$1/t" -not -path "$1/t/*" -delete', [m]);
      const said = await output('python3', ['-c', PROGRAM, m], { input: JSON.stringify(steps) });
      const ended = JSON.parse(said) as Record<string, number>;
      for (const [how, times] of Object.entries(ended)) all[how] = (all[how] ?? 0) + times;
      await agrees();
      await root.umount('env');
      m = await root.mount('env');
      await agrees();
    }),
    propertyRuns(10),
  );
  // Most of it was made, and much refused.
  expect(all['ok']).toBeGreaterThan(200);
  expect(all['EDQUOT']).toBeGreaterThan(20);
});
