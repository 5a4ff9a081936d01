/**
 * What `byref move` sends, changed in any way: bytes, frames, messages, and what is in the listing of a version, among its objects and in the rounds.
 * `byref receive` refuses each with a sentence, or takes a whole env; it writes nothing elsewhere, and its root is whole. FC_RUNS=500 tries more.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { Sums } from '../../src/manager/backup/trailer.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { TemplateListed } from '../../src/services/list-templates.ts';
import { isStack } from '../fuzz/outcome.ts';
import { BYREF, sh } from '../support/machine/program.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { TestRoot } from '../support/machine/root.ts';
import { CHANGE, changeableRoot, inEnv, shown } from './changed-env.ts';
import { withOdd } from './odd-json.ts';
import { shellTo } from './remote-shell.ts';

const RUNS = propertyRuns(30);
const TEST_MS = 120_000 + RUNS.numRuns * 5_000;
const REFUSED: ReadonlySet<number> = new Set(
  (['badInput', 'corrupt', 'notFound', 'usage', 'exists', 'unreachable', 'error'] as const).map(
    (name) => EXIT[name],
  ),
);
const [MESSAGE, DATA, END] = [1, 2, 3];
const HEAD = 5;

/** A message, or bytes up to their end. */
interface Frame {
  readonly type: number;
  readonly bytes: Buffer;
}

let [here, there] = [] as unknown as [TestRoot, TestRoot];
let whole: Buffer;
let frames: readonly Frame[];
let before: string;

beforeAll(async () => {
  [here, there] = [await changeableRoot(), await TestRoot.create()];
  await inEnv(here, 'first', CHANGE);
  before = await shown(here, 'first');
  // A warm move of one that is mounted has several rounds.
  await here.mount('first');
  const record = path.join(here.base, 'record');
  const shell = shellTo(here, there, `tee ${record} |`);
  await here.ok('move', 'first', 'other', '--rsh', shell, '--remote-byref', BYREF, '--warm');
  await forget();
  whole = readFileSync(record);
  frames = framesOf(whole);
  expect(frames.filter(({ bytes }) => bytes.includes('"round":'))).toHaveLength(2);
  expect(frames.filter(({ bytes }) => bytes.includes('"version":"'))).toHaveLength(1);
});
afterAll(async () => {
  await here.dispose();
  await there.dispose();
});

async function forget(): Promise<void> {
  for (const { name } of await there.json<EnvSummary[]>('list')) await there.ok('destroy', name);
  for (const { name } of await there.json<TemplateListed[]>('template', 'list'))
    await there.ok('template', 'rm', name);
  for (const { move } of await there.json<{ move: string }[]>('receive', '--list'))
    await there.ok('receive', '--remove', move);
}

/** Takes a stream apart, with the frames of bytes put together. */
function framesOf(stream: Buffer): Frame[] {
  const all: Frame[] = [];
  let data: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const [type, length] = [stream.readUInt8(at), stream.readUInt32LE(at + 1)];
    const bytes = stream.subarray(at + HEAD, at + HEAD + length);
    at += HEAD + length;
    if (type === MESSAGE) all.push({ type, bytes });
    else if (type === DATA) data.push(bytes);
    else if (type === END) {
      all.push({ type: DATA, bytes: Buffer.concat(data) });
      data = [];
    }
  }
  return all;
}

const frame = (type: number, bytes: Buffer): Buffer => {
  const head = Buffer.alloc(HEAD);
  head.writeUInt8(type, 0);
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};

const streamOf = (all: readonly Frame[]): Buffer =>
  Buffer.concat(
    all.flatMap(({ type, bytes }) =>
      type === DATA ? [frame(type, bytes), frame(END, Buffer.alloc(0))] : [frame(type, bytes)],
    ),
  );

function zstd(words: readonly string[], input: Buffer): Buffer {
  const { stdout, status } = spawnSync('zstd', ['-q', ...words], { input, maxBuffer: 2 ** 26 });
  expect(status).toBe(0);
  return stdout;
}

const part = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const change = fc.record({
  kind: fc.constantFrom('cut', 'remove', 'repeat', 'insert', 'replace'),
  at: part,
  length: fc.nat(600),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function changed(all: Buffer, { kind, at, length, bytes }: Change): Buffer {
  const a = Math.floor(at * all.length);
  const b = Math.min(a + length, all.length);
  const from = all.subarray(0, a);
  if (kind === 'cut') return from;
  if (kind === 'remove') return Buffer.concat([from, all.subarray(b)]);
  if (kind === 'repeat') return Buffer.concat([all.subarray(0, b), all.subarray(a)]);
  if (kind === 'insert') return Buffer.concat([from, bytes, all.subarray(a)]);
  return Buffer.concat([from, bytes, all.subarray(Math.min(a + bytes.length, all.length))]);
}

const odd = fc.oneof(
  fc.constantFrom(null, -1, 2 ** 53, '', '..', '../../x', '0'.repeat(32), [], {}, true),
  fc.jsonValue({ maxDepth: 1 }),
);

/** Changes what one frame has in it, so that what is around it is right. */
function within({ type, bytes }: Frame, how: Change, where: number, to: unknown): Frame {
  if (type === MESSAGE) {
    const text = JSON.stringify(withOdd(JSON.parse(bytes.toString('utf8')), where, to));
    return { type, bytes: Buffer.from(text, 'utf8') };
  }
  const isRound = bytes.subarray(-'byref-backup'.length).toString() === 'byref-backup';
  const inside = changed(zstd(['-dc'], bytes), how);
  const again = zstd(['-1', '--check'], inside);
  if (!isRound) return { type, bytes: again };
  const sums = new Sums();
  sums.add(again);
  return { type, bytes: Buffer.concat([again, sums.trailer()]) };
}

const stream = fc.oneof(
  change.map((how) => () => changed(whole, how)),
  fc
    .record({ at: part, to: part, kind: fc.constantFrom('move', 'repeat', 'remove') })
    .map(({ at, to, kind }) => () => {
      const all = [...frames];
      const i = Math.floor(at * all.length);
      const one = all[i]!;
      if (kind !== 'repeat') all.splice(i, 1);
      if (kind !== 'remove') all.splice(Math.floor(to * all.length), 0, one);
      return streamOf(all);
    }),
  fc.tuple(part, change, part, odd).map(([at, how, where, to]) => () => {
    const i = Math.floor(at * frames.length);
    return streamOf(frames.map((each, j) => (i === j ? within(each, how, where, to) : each)));
  }),
);

test('what was sent is taken when it comes again', async () => {
  expect(await receive(streamOf(frames))).toMatchObject({ code: 0 });
  expect(await shown(there, 'first')).toBe(before);
  await forget();
});

function receive(bytes: Buffer) {
  const file = path.join(here.base, 'stream');
  writeFileSync(file, bytes);
  return sh('exec "$1" receive <"$2" >/dev/null', [BYREF, file], { env: there.env });
}

test('what was changed on its way is refused, or makes a whole env', {
  timeout: TEST_MS,
}, async () => {
  let taken = 0;
  const outside = createHash('sha256')
    .update(await listed(there.base))
    .digest('hex');
  const property = fc.asyncProperty(stream, async (make) => {
    there.goesOn();
    const { code, stderr } = await receive(make());
    expect(isStack(stderr), stderr).toBe(false);
    expect(code === 0 || REFUSED.has(code), `${code} ${stderr}`).toBe(true);
    const envs = await there.json<EnvSummary[]>('list');
    if (code !== 0) expect(envs, stderr).toEqual([]);
    for (const { name } of envs) {
      taken++;
      await inEnv(there, name, 'find "$1" -type f -exec cat {} + >/dev/null 2>&1 || :');
    }
    const names = new Set(envs.map(({ name }) => name));
    const others = (await there.findings()).filter(
      ({ where }) => ![...names].some((name) => where.includes(name)),
    );
    expect(others).toEqual([]);
    await forget();
  });
  await fc.assert(property, { ...RUNS, endOnFailure: true });
  expect(
    createHash('sha256')
      .update(await listed(there.base))
      .digest('hex'),
  ).toBe(outside);
  for (const base of [here.base, there.base]) expect(existsSync(path.join(base, 'x'))).toBe(false);
  if (RUNS.numRuns >= 100) console.log(`${taken} of ${RUNS.numRuns} were taken`);
});

/** The names of all that is beside a root. */
async function listed(base: string): Promise<string> {
  const { stdout } = await sh('cd "$1"; find . -path ./root -prune -o -print | sort', [base]);
  return stdout;
}
