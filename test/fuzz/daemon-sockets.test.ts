/** Random bytes to the sockets of daemon, runner and monitor: each answers what it is asked, and goes on. scripts/soak.sh tries more. */
import { once } from 'node:events';
import { connect } from 'node:net';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMAND, encodeMessage } from '../../src/ipc/command-protocol.ts';
import { TestDaemon } from '../daemon/daemon-root.ts';
import { RunRoot } from '../run/run-root.ts';
import { runFile } from '../support/machine/control-socket.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { isStack, type Outcome, Outcomes } from './outcome.ts';

let r: RunRoot;
let daemon: TestDaemon;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  daemon = new TestDaemon(r.root);
  await daemon.start();
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
});
afterAll(async () => {
  await daemon.kill('SIGTERM');
  await r.dispose();
});

const PATIENCE_MS = 20_000;

/** Sends bytes; returns what comes until the other side ends the connection, or `isEnough`. null: nothing came to an end. */
async function answerTo(
  file: string,
  bytes: Uint8Array,
  isEnough: (answer: Buffer) => boolean,
): Promise<Buffer | null> {
  const socket = connect(file);
  socket.on('error', () => undefined);
  const parts: Buffer[] = [];
  const ended = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      if (isEnough(Buffer.concat(parts))) resolve();
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), PATIENCE_MS);
  });
  socket.write(bytes);
  const how = await Promise.race([ended, late]);
  clearTimeout(timer);
  socket.destroy();
  return how === 'late' ? null : Buffer.concat(parts);
}

/** Tries samples on a socket, and returns the counts. */
async function tryAll<T>(
  samples: readonly T[],
  outcomeOf: (sample: T) => Promise<Outcome>,
): Promise<Outcomes> {
  const outcomes = new Outcomes();
  for (const sample of samples) {
    const outcome = await outcomeOf(sample).catch(() => 'signal' as const);
    outcomes.add(outcome, () => JSON.stringify(sample).slice(0, 1000));
  }
  if (samples.length >= 1000)
    console.log(`${expect.getState().currentTestName ?? ''}: ${outcomes.text}`);
  return outcomes;
}

const samplesOf = <T>(arbitrary: fc.Arbitrary<T>, runs: number): T[] => {
  const { numRuns, ...how } = propertyRuns(runs);
  return fc.sample(arbitrary, { numRuns, ...how });
};

const bytes = fc.uint8Array({ maxLength: 64 });
const text = fc.oneof(
  fc.constantFrom(
    '1',
    '000',
    '111',
    '80',
    'xterm',
    '99999999999',
    '',
    'list',
    'info',
    '__proto__',
    '--json',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const payload = fc.oneof(
  bytes,
  fc.array(text, { maxLength: 8 }).map((words) => Buffer.from(words.join('\0'))),
);
const message = fc
  .tuple(fc.oneof(fc.constantFrom<number>(...Object.values(COMMAND)), fc.nat(255)), payload)
  .map(([type, content]) => encodeMessage(type, content));

test('random messages to the runner are accepted or declined', async () => {
  const file = runFile(r.root, 'runner.sock');
  // A signal that no command could get yet was found late: there are few of its form.
  const samples = [encodeMessage(COMMAND.signal, '15'), ...samplesOf(message, 60)];
  const outcomes = await tryAll(samples, async (each) => {
    const answer = await answerTo(file, each, ({ length }) => length > 0);
    if (answer === null) return 'hang';
    if (answer.length === 0) return 'silent';
    return ([COMMAND.accept, COMMAND.decline] as number[]).includes(answer[0]!) ? 'told' : 'wrong';
  });
  expect(outcomes.bad, outcomes.text).toEqual({});
  expect(await r.root.ok('list', '-q')).toBe('web\n');
});

const PATHS = [
  ...[
    '/',
    '/healthz',
    '/metrics',
    '/openapi.json',
    '/v1/events',
    '/v1/envs',
    '/v1/envs/none',
    '/v1/envs/none/exec',
  ],
  ...[
    '/v1/envs/%00',
    '/v1/envs/..%2f',
    '/v1/envs/__proto__',
    '/v1/envs/none/start',
    '/v1/operations/0',
    '/v1/operations/x',
  ],
  ...[
    '/v1/operations/99999999999999999999',
    '/v1/operations/1e3/output',
    '/v1/templates',
    `/v1/envs/${'x'.repeat(300)}`,
  ],
];
const body = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.constantFrom(
    '{"envs":["none"],"os":"none"}',
    '{"command":[]}',
    '{"words":1}',
    '{"__proto__":{}}',
    '[',
    '',
  ),
);
const request = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS', 'BREW'),
    fc.constantFrom(...PATHS),
    fc.constantFrom('', '?after=x', '?wait=x', '?after=-1', '?json=1', '?%ff'),
    body,
  )
  // Events go on for as long as one listens.
  .filter(
    ([, place, query]) => place !== '/v1/events' || query === '?after=x' || query === '?after=-1',
  )
  .map(([method, place, query, content]) =>
    Buffer.from(
      `${method} ${place}${query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(content)}\r\n\r\n${content}`,
    ),
  );

/** Blank lines alone are the beginning of a request. */
const noise = bytes.filter((each) => each.some((byte) => byte !== 10 && byte !== 13));

test('random requests to the daemon are answered, and none with an error of its own', async () => {
  const samples = samplesOf(fc.oneof({ weight: 4, arbitrary: request }, noise), 60);
  const outcomes = await tryAll(samples, async (each) => {
    const whole = Buffer.concat([each, Buffer.from('\r\n\r\n')]);
    const answer = await answerTo(daemon.socket, whole, () => false);
    if (answer === null) return 'hang';
    const said = answer.toString('latin1');
    const status = Number(/^HTTP\/1[.]1 (\d{3}) /.exec(said)?.[1] ?? 0);
    if (said === '') return 'silent';
    return status >= 200 && status < 500 && !isStack(said) ? 'told' : 'wrong';
  });
  expect(outcomes.bad, outcomes.text).toEqual({});
  expect((await daemon.ask('GET', '/healthz')).status).toBe(200);
});

test('the monitor of an env passes over random bytes, and lets go of who sends too many', async () => {
  const [bundle = ''] = await bundles();
  const pid = (await r.root.info('web')).pid;
  const outcomes = await tryAll(samplesOf(bytes, 30), async (each) => {
    const socket = connect(path.join(bundle, 'attach.sock'));
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(PATIENCE_MS) });
    socket.on('error', () => undefined);
    socket.end(each);
    socket.resume();
    return closed.then(
      () => 'told' as const,
      () => 'hang' as const,
    );
  });
  expect(outcomes.bad, outcomes.text).toEqual({});
  expect(await r.root.info('web')).toMatchObject({ state: 'running', pid });
  expect(await r.root.ok('exec', 'web', '--', 'echo', 'alive')).toBe('alive\n');
});

async function bundles(): Promise<string[]> {
  const key = path.basename(path.dirname(runFile(r.root, 'x')));
  const { id } = await r.root.info('web');
  return [path.join(r.root.env['BYREF_RUN'] ?? '', `${key}.envs`, String(id))];
}

test('a follower of events that does not read is let go of', async () => {
  const socket = connect(daemon.socket).pause();
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // Each is in two events, with its words.
  const words = ['list', ...Array.from({ length: 10 }, () => `--${'x'.repeat(100_000)}`)];
  for (let i = 0; i < 10 && !socket.destroyed; i++) {
    await daemon.done('POST', '/v1/operations', { words });
    // Only who reads, or writes, notices that the other side has gone.
    socket.write('\r\n');
  }
  await closed;
});
