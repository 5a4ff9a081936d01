/** Random messages to the control sockets of driver and holder: each is answered. scripts/soak.sh tries more than a thousand on each. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RawControl, runFile } from '../support/machine/control-socket.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { TestRoot } from '../support/machine/root.ts';
import { type Outcome, Outcomes, outcomeOfReply } from './outcome.ts';

let root: TestRoot;

beforeAll(async () => {
  root = await TestRoot.create();
  await root.mounted('one', root.directory('source'));
  await root.create('two', 'template-of-one');
});
afterAll(() => root.dispose());

const FIELDS = [
  ...['env', 'mountpoint', 'transport', 'passthrough', 'trace', 'mountFlags', 'versions', 'stacks'],
  ...[
    'envs',
    'acts',
    'objects',
    'settle',
    'after',
    'limit',
    'pid',
    'fd',
    'shard',
    'stack',
    'templateId',
  ],
  ...['version', 'what', 'dir', 'name', 'patch', 'ino', 'file', 'seen', '__proto__', 'x'],
];
const VERBS: Readonly<Record<string, readonly string[]>> = {
  'shard-0.sock': [
    ...['status', 'metrics', 'mount', 'device', 'attached', 'prepare', 'refresh', 'busy', 'held'],
    ...[
      'writers',
      'limits',
      'replaced',
      'hold',
      'closed',
      'stop',
      '',
      'none',
      '__proto__',
      'toString',
    ],
  ],
  'holder.sock': ['status', 'hold', 'drop', 'stop', '', 'none', 'x'.repeat(500)],
};

// Env 1 is mounted: to let go of it, or to wait for its end, is not what is tried here.
const leaf = fc.constantFrom<unknown>(
  ...[null, true, 0, 2, 3, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, '', '1', '/nowhere/x'],
  ...[
    'relative',
    'kernel',
    'fuse-native',
    'take',
    'discard',
    'steps',
    '__proto__',
    '\u0000',
    '\ud800',
  ],
  'x'.repeat(5000),
);
const args = fc.letrec<{ value: unknown; list: unknown[]; object: Record<string, unknown> }>(
  (tie) => ({
    value: fc.oneof({ depthSize: 'small' }, leaf, tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 3 }),
    object: fc.dictionary(fc.constantFrom(...FIELDS), tie('value'), { maxKeys: 8 }),
  }),
);
const envelope = fc.record({
  v: fc.oneof({ weight: 9, arbitrary: fc.constant<unknown>(1) }, leaf),
  id: fc.oneof({ weight: 9, arbitrary: fc.constant<unknown>(1) }, leaf),
});
const messageTo = (socket: string) =>
  fc
    .tuple(envelope, fc.constantFrom(...(VERBS[socket] ?? [])), fc.oneof(args.object, args.value))
    .map(([head, verb, given]) => JSON.stringify({ ...head, verb, args: given }))
    .chain((text) =>
      fc.oneof(
        { weight: 4, arbitrary: fc.constant(text) },
        // Cut off, with something put in, and something else altogether.
        fc.nat(text.length).map((at) => text.slice(0, at)),
        fc
          .tuple(fc.nat(text.length), fc.string())
          .map(([at, put]) => text.slice(0, at) + put + text.slice(at)),
        fc.string({ unit: 'binary' }),
      ),
    )
    .map((text) => text.replaceAll('\n', ' '));

const PATIENCE_MS = 20_000;

async function outcomeOf(file: string, message: string): Promise<Outcome> {
  const control = await RawControl.to(file);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), PATIENCE_MS);
  });
  try {
    const reply = await Promise.race([control.ask(message), late]);
    if (reply === 'late') return 'hang';
    return reply === null ? 'silent' : outcomeOfReply(reply);
  } finally {
    clearTimeout(timer);
    control.close();
  }
}

test.each(Object.keys(VERBS))('random messages to %s are answered', async (socket) => {
  const { numRuns, ...how } = propertyRuns(200);
  const file = runFile(root, socket);
  const outcomes = new Outcomes();
  for (const message of fc.sample(messageTo(socket), { numRuns, ...how })) {
    const outcome = await outcomeOf(file, message).catch(() => 'signal' as const);
    outcomes.add(outcome, () => message.slice(0, 1000));
  }
  if (numRuns >= 1000) console.log(`${socket}: ${outcomes.text}`);
  expect(outcomes.bad, outcomes.text).toEqual({});
  expect((await root.info('one')).state).toBe('mounted');
});
