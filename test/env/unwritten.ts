/**
 * docs/SEMANTICS.md: "An open for writing that writes nothing leaves nothing". What is opened is opened by a process of its own;
 * what the env keeps is read from its directory.
 */
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PRIVATE_DIR } from '../../src/driver/delta/layout.ts';
import { readDelta } from '../../src/driver/delta/read-delta.ts';
import { output } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const SET_UP_MS = 120_000;
const WITHIN_MS = 30_000;
const CASE_MS = 90_000;
const TEXT = 'the bytes of the template\n';
const BIG = 3 * 1024 * 1024;
const MANY = 300;

/** What an env keeps of its own. */
interface Kept {
  readonly diff: readonly string[];
  readonly names: readonly string[];
  readonly records: number;
  readonly privateFiles: readonly string[];
}

const NOTHING: Kept = { diff: [], names: [], records: 0, privateFiles: [] };

let root: TestRoot;
let env = '';
let mountpoint: string;
let made = 0;

function makeTree(dir: string, text: string): void {
  for (const sub of ['home', 'usr']) {
    const at = (name: string): string => path.join(dir, sub, name);
    mkdirSync(at(''), { recursive: true });
    writeFileSync(at('file'), text);
    writeFileSync(at('other'), TEXT);
    writeFileSync(at('empty'), '');
    writeFileSync(at('big'), Buffer.alloc(BIG, text));
    writeFileSync(at('set-id'), text);
    chmodSync(at('set-id'), 0o4755);
    writeFileSync(at('one'), text);
    linkSync(at('one'), at('two'));
    mkdirSync(at('many'));
    for (let i = 0; i < MANY; i++) writeFileSync(at(`many/${i}`), text);
  }
}

const directoryOf = async (): Promise<string> =>
  path.join(root.path, 'envs', readdirSync(path.join(root.path, 'envs')).at(-1)!);

async function kept(): Promise<Kept> {
  const diff = await root.json<{ path: string }[]>('diff', env);
  const dir = await directoryOf();
  const view = await readDelta(dir);
  try {
    const privates = path.join(dir, PRIVATE_DIR);
    return {
      diff: diff.map((each) => each.path).sort(),
      names: [...view.changedNames()].map(({ name }) => name as string).sort(),
      records: [...view.inodes()].length,
      privateFiles: existsSync(privates) ? readdirSync(privates) : [],
    };
  } finally {
    await view.close();
  }
}

const leavesNothing = () =>
  expect.poll(kept, { timeout: WITHIN_MS, interval: 200 }).toEqual(NOTHING);

const leavesCopyOf = (at: string): Promise<void> => leavesCopiesOf([at.slice(1)]);

/** @param names without a leading slash */
async function leavesCopiesOf(names: readonly string[]): Promise<void> {
  // As long as a copy that is given back late would take.
  await sleep(1500);
  const { diff, privateFiles } = await kept();
  expect(diff).toEqual(names.map((name) => `/${name}`).sort());
  expect(privateFiles.length).toBe(names.length);
}

/** Runs Python with `f` as the path of a file; prints to standard output. */
const python = (file: string, script: string): Promise<string> =>
  output('python3', ['-c', `import fcntl, mmap, os, sys, time\nf = sys.argv[1]\n${script}`, file]);

/** A process that runs until it is told to end; `step` goes on to its next `wait()`. */
function pausing(file: string, script: string) {
  const steps = path.join(root.base, `steps-${made}`);
  mkdirSync(steps, { recursive: true });
  const prologue = `
import fcntl, mmap, os, sys, time
f, d = sys.argv[1:]
n = 0
def wait():
    global n
    n += 1
    open(d + '/at-%d' % n, 'w').close()
    while not os.path.exists(d + '/go-%d' % n): time.sleep(0.01)
`;
  const child = root.background('exec python3 -c "$1" "$2" "$3"', prologue + script, file, steps);
  const reached = (n: number) =>
    expect
      .poll(() => existsSync(path.join(steps, `at-${n}`)), { timeout: WITHIN_MS, interval: 10 })
      .toBe(true);
  return {
    child,
    reached,
    go: (n: number) => writeFileSync(path.join(steps, `go-${n}`), ''),
    ended: new Promise<number | null>((resolve) => child.once('exit', resolve)),
  };
}

const read = (file: string): Promise<string> => output('cat', [file]);

const OPENS = {
  O_RDWR: 'os.O_RDWR',
  O_WRONLY: 'os.O_WRONLY',
  'O_RDWR and O_APPEND': 'os.O_RDWR | os.O_APPEND',
  'O_RDWR and O_CREAT': 'os.O_RDWR | os.O_CREAT',
  'O_RDWR and O_SYNC': 'os.O_RDWR | os.O_SYNC',
};

const KEEPERS = {
  'a byte written': 'os.pwrite(fd, b"T", 3)',
  'bytes written that were there': 'os.pwrite(fd, b"the", 0)',
  'bytes written, and the times put back':
    's = os.stat(f); os.pwrite(fd, b"T", 0); os.utime(f, ns=(s.st_atime_ns, s.st_mtime_ns))',
  'a truncation to the same size': 'os.ftruncate(fd, os.fstat(fd).st_size)',
  allocation: 'os.posix_fallocate(fd, 0, 10)',
  'a change of mode': 'os.fchmod(fd, 0o600)',
  'a change of times': 'os.utime(f, (1, 1))',
  'an attribute': 'os.setxattr(f, "user.a", b"b")',
  'a store through a mapping':
    'm = mmap.mmap(fd, 20); os.close(fd); fd = os.open(f, os.O_RDONLY); m[0:1] = b"T"; m.close()',
  'a copy from another file':
    'o = os.open(os.path.dirname(f) + "/../other", os.O_RDONLY); os.copy_file_range(o, fd, 4)',
};

/**
 * Processes that open few files again and again, most of them for nothing. Each has one byte of every file for itself, which it
 * sets now and then by a write or a store, and which must be what it was set to last whenever it looks.
 */
const STRESS = `
import random
ROUNDS = ${750 * Number(process.env['BYREF_SOAK'] ?? 1)}
dirs = [os.path.dirname(f), os.path.dirname(f) + '/../usr']
files = [d + '/many/%d' % n for n in range(${MANY}) for d in dirs]
def run(me):
    random.seed('%d %s' % (me, ${JSON.stringify(process.env.SEED ?? 'a')}))
    last = {}
    maps = []
    for i in range(ROUNDS):
        # All go along the files, so that they meet.
        near = (i * len(files) // ROUNDS + random.randrange(6)) % len(files)
        name = files[near] if random.random() < 0.8 else random.choice(files)
        what = random.random()
        if what < 0.02: maps[:] = []
        fd = os.open(name, random.choice([os.O_RDONLY, os.O_RDWR, os.O_RDWR, os.O_WRONLY if what < 0.5 else os.O_RDWR]))
        flags = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        if name in last and flags != os.O_WRONLY:
            seen = os.pread(fd, 1, me)
            assert seen == last[name], (name, me, i, seen, last[name])
        byte = bytes([random.randrange(256)])
        if what > 0.97 and flags != os.O_RDONLY:
            os.pwrite(fd, byte, me)
            last[name] = byte
        elif what > 0.92 and flags == os.O_RDWR:
            m = mmap.mmap(fd, 24)
            if what > 0.94: maps.append(m)
            os.close(fd)
            if what > 0.95:
                time.sleep(random.random() * 0.01)
                m[me:me + 1] = byte
                last[name] = byte
            continue
        elif what > 0.88: time.sleep(random.random() * 0.01)
        os.close(fd)
    time.sleep(0.5)
    for name, byte in last.items():
        with open(name, 'rb') as g: assert g.read()[me:me + 1] == byte, (name, me, byte)
children = []
for me in range(8):
    pid = os.fork()
    if pid == 0:
        try:
            run(me)
            os._exit(0)
        except BaseException as e:
            import traceback; traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            os._exit(1)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
`;

/** Declares the tests on envs that are mounted with these options. */
export function declareUnwritten(mode: 'passthrough' | 'no passthrough'): void {
  const options = mode === 'passthrough' ? [] : ['--no-passthrough'];

  beforeAll(async () => {
    root = await TestRoot.create();
    makeTree(root.directory('first'), TEXT);
    makeTree(root.directory('second'), TEXT.toUpperCase());
    await root.import('os', root.directory('first'));
  }, SET_UP_MS);
  afterAll(() => root.dispose(), SET_UP_MS);

  beforeEach(async () => {
    if (env !== '') await root.byref('destroy', '--force', env);
    env = `${mode === 'passthrough' ? 'p' : 'n'}${++made}`;
    await root.create(env, 'os');
    mountpoint = await root.mount(env, ...options);
  }, SET_UP_MS);

  /** The env is one of a template of its own, which has a second version. */
  async function ofTwoVersions(): Promise<string> {
    await root.ok('destroy', '--force', env);
    const template = `of-${env}`;
    await root.import(template, root.directory('first'));
    await root.create(env, template);
    mountpoint = await root.mount(env, ...options);
    await root.import(template, root.directory('second'));
    return template;
  }

  const at = (name: string): string => path.join(mountpoint, name);

  describe.each(['home', 'usr'])('in /%s', (dir) => {
    const files = (of: object): string[] => Object.keys(of).map((_, i) => `${dir}/many/${i}`);
    const attributes = (names: readonly string[]): Promise<string> =>
      output('stat', ['-c', '%i %s %Y %Z %a %h', ...names.map(at)]);

    test(
      'opens of each kind leave nothing',
      async () => {
        const names = files(OPENS);
        const before = await attributes(names);
        for (const [i, flags] of Object.values(OPENS).entries())
          await python(at(names[i]!), `fd = os.open(f, ${flags}); os.fstat(fd); os.close(fd)`);
        await leavesNothing();
        expect(await attributes(names)).toBe(before);
        // They can be written to as before.
        for (const name of names) {
          expect(await read(at(name))).toBe(TEXT);
          await python(at(name), 'open(f, "r+").write("NEW")');
          expect(await read(at(name))).toBe(`NEW${TEXT.slice(3)}`);
        }
        await leavesCopiesOf(names);
      },
      CASE_MS,
    );

    test(
      'changes of each kind are kept',
      async () => {
        const names = files(KEEPERS);
        for (const [i, change] of Object.values(KEEPERS).entries())
          await python(at(names[i]!), `fd = os.open(f, os.O_RDWR); ${change}; os.close(fd)`);
        const texts = await Promise.all(names.map((name) => read(at(name))));
        await leavesCopiesOf(names);
        await root.umount(env);
        await root.mount(env, ...options);
        expect(await Promise.all(names.map((name) => read(at(name))))).toEqual(texts);
        await leavesCopiesOf(names);
      },
      CASE_MS,
    );
  });

  test(
    'an empty file, a large one, one with set-ID bits, and all names of a group',
    async () => {
      for (const name of ['empty', 'big', 'set-id', 'one', 'two'])
        await python(at(`home/${name}`), 'for i in range(3): open(f, "r+").close()');
      await leavesNothing();
      expect(await output('stat', ['-c', '%a', at('home/set-id')])).toBe('4755\n');
      expect(await output('stat', ['-c', '%h', at('home/one')])).toBe('2\n');
      await python(at('home/one'), 'open(f, "r+").write("NEW")');
      expect(await read(at('home/two'))).toBe(`NEW${TEXT.slice(3)}`);
    },
    CASE_MS,
  );

  test(
    'O_TRUNC is a change, also of an empty file',
    async () => {
      await python(at('home/empty'), 'open(f, "w").close()');
      await leavesCopyOf('/home/empty');
    },
    CASE_MS,
  );

  test(
    'an open with fsync, a lock or a read',
    async () => {
      await python(at('home/file'), 'g = open(f, "r+"); os.fsync(g.fileno()); g.close()');
      await python(at('home/one'), 'g = open(f, "r+"); fcntl.flock(g, fcntl.LOCK_EX); g.close()');
      await python(at('usr/file'), 'g = open(f, "r+"); g.read(); g.close()');
      await leavesNothing();
    },
    CASE_MS,
  );

  test(
    'a process that dies',
    async () => {
      const holder = pausing(at('home/file'), 'fd = os.open(f, os.O_RDWR)\nwait()');
      await holder.reached(1);
      process.kill(holder.child.pid!, 'SIGKILL');
      await leavesNothing();
    },
    CASE_MS,
  );

  test(
    'what the env had changed before stays: attributes, names, a further link',
    async () => {
      await output('chmod', ['600', at('home/file')]);
      await output('mv', [at('home/other'), at('home/moved')]);
      await output('ln', [at('home/big'), at('home/linked')]);
      const before = await kept();
      expect(before.privateFiles).toEqual([]);
      for (const name of ['file', 'moved', 'linked']) {
        await python(at(`home/${name}`), 'open(f, "r+").close()');
      }
      await expect.poll(kept, { timeout: WITHIN_MS }).toEqual(before);
      expect(await read(at('home/file'))).toBe(TEXT);
    },
    CASE_MS,
  );

  test(
    'a reader from before, and one from meanwhile',
    async () => {
      for (const dir of ['home', 'usr']) {
        const script = `
before = open(f)
assert before.read() == ${JSON.stringify(TEXT)}
writer = open(f, 'r+')
during = open(f)
writer.close()
time.sleep(0.3)
for each in before, during:
    each.seek(0)
    assert each.read() == ${JSON.stringify(TEXT)}
`;
        await python(at(`${dir}/file`), script);
      }
      await leavesNothing();
    },
    CASE_MS,
  );

  test(
    'a reader sees what is written after a copy was given back',
    async () => {
      const script = `
before = open(f)
before.read()
open(f, 'r+').close()
time.sleep(0.3)
with open(f, 'r+') as writer: writer.write('NEW')
before.seek(0)
assert before.read() == ${JSON.stringify(`NEW${TEXT.slice(3)}`)}
`;
      await python(at('home/file'), script);
      await leavesCopyOf('/home/file');
    },
    CASE_MS,
  );

  test(
    'a mapping can be written to long after its descriptor was closed',
    async () => {
      const mapper = pausing(
        at('home/file'),
        `
fd = os.open(f, os.O_RDWR)
m = mmap.mmap(fd, ${TEXT.length})
os.close(fd)
m[0:3]
wait()
m[0:3] = b'NEW'
wait()
m.close()
`,
      );
      await mapper.reached(1);
      await leavesCopyOf('/home/file');
      mapper.go(1);
      await mapper.reached(2);
      expect(await read(at('home/file'))).toBe(`NEW${TEXT.slice(3)}`);
      mapper.go(2);
      expect(await mapper.ended).toBe(0);
      await leavesCopyOf('/home/file');
      expect(await read(at('home/file'))).toBe(`NEW${TEXT.slice(3)}`);
    },
    CASE_MS,
  );

  test(
    'a mapping that is not written to leaves nothing once it is gone',
    async () => {
      const mapper = pausing(
        at('home/file'),
        `
fd = os.open(f, os.O_RDWR)
m = mmap.mmap(fd, ${TEXT.length})
os.close(fd)
wait()
m.close()
`,
      );
      await mapper.reached(1);
      await leavesCopyOf('/home/file');
      mapper.go(1);
      await leavesNothing();
    },
    CASE_MS,
  );

  test(
    'a patch that comes after the close shows its file',
    async () => {
      const template = await ofTwoVersions();
      await python(at('home/file'), 'open(f, "r+").close()');
      await leavesNothing();
      await root.ok('patch', template);
      expect(await read(at('home/file'))).toBe(TEXT.toUpperCase());
    },
    CASE_MS,
  );

  test(
    'a patch that comes before the close shows its file after that',
    async () => {
      const template = await ofTwoVersions();
      const script = `
fds = [os.open(os.path.dirname(f) + name, os.O_RDWR) for name in ('/file', '/one', '/../usr/file')]
wait()
for fd in fds:
    assert os.pread(fd, 100, 0) == ${JSON.stringify(TEXT)}.encode()
    os.close(fd)
`;
      const holder = pausing(at('home/file'), script);
      await holder.reached(1);
      await root.ok('patch', template);
      expect(await read(at('home/file'))).toBe(TEXT);
      holder.go(1);
      expect(await holder.ended).toBe(0);
      for (const name of ['home/file', 'home/one', 'home/two', 'usr/file']) {
        await expect.poll(() => read(at(name)), { timeout: WITHIN_MS }).toBe(TEXT.toUpperCase());
      }
      await leavesNothing();
      await root.ok('rollback', template);
      expect(await read(at('home/one'))).toBe(TEXT);
      await python(at('home/two'), 'open(f, "r+").write("NEW")');
      expect(await read(at('home/one'))).toBe(`NEW${TEXT.slice(3)}`);
    },
    CASE_MS,
  );

  test(
    'a byte that is written after a patch is kept',
    async () => {
      const template = await ofTwoVersions();
      const script = 'fd = os.open(f, os.O_RDWR)\nwait()\nos.pwrite(fd, b"NEW", 0)\nos.close(fd)';
      const holder = pausing(at('home/file'), script);
      await holder.reached(1);
      await root.ok('patch', template);
      holder.go(1);
      expect(await holder.ended).toBe(0);
      await leavesCopyOf('/home/file');
      expect(await read(at('home/file'))).toBe(`NEW${TEXT.slice(3)}`);
    },
    CASE_MS,
  );

  test(
    'a driver that is killed while the file is open loses nothing of it',
    async () => {
      const holder = pausing(at('home/file'), 'fd = os.open(f, os.O_RDWR)\nwait()');
      await holder.reached(1);
      const { driverPid } = await root.info(env);
      process.kill(driverPid!, 'SIGKILL');
      process.kill(holder.child.pid!, 'SIGKILL');
      await root.umount(env);
      await root.mount(env, ...options);
      expect(await read(at('home/file'))).toBe(TEXT);
      await leavesNothing();
    },
    CASE_MS,
  );

  test(
    'no byte is lost, whoever opens, writes, maps and closes at the same time',
    async () => {
      await python(at('home/file'), STRESS);
      await root.umount(env);
      await root.mount(env, ...options);
      const { diff, privateFiles } = await kept();
      expect(privateFiles.length).toBe(diff.length);
      expect(diff.length).toBeGreaterThan(0);
      expect(diff.length).toBeLessThan(2 * MANY);
      for (const dir of ['home', 'usr']) {
        const ends = await output('bash', [
          '-c',
          'tail -q -c 10 "$1"/* | sort -u',
          'sh',
          at(`${dir}/many`),
        ]);
        expect(ends).toBe(TEXT.slice(-10));
      }
      await root.ok('fsck');
    },
    CASE_MS,
  );
}
