/** Rows and records with changed bytes: each is decoded, or said to be damaged. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Damaged } from '../../src/base/damaged.ts';
import { type Ino, nameFromText } from '../../src/base/ids.ts';
import { emptyRecord } from '../../src/codec/empty-record.ts';
import { decodeSettings, encodeSettings, NO_SETTINGS } from '../../src/codec/env-settings.ts';
import type { InodeRecord } from '../../src/codec/inode-record.ts';
import { decodeInode, encodeInode, inodeBytesMax } from '../../src/codec/inode-record-codec.ts';
import { decodeHistory, encodeHistory } from '../../src/codec/link-history.ts';
import { decodePatchEnvs, decodePatchHead } from '../../src/codec/patch-record.ts';
import { decodeSteps, encodeSteps } from '../../src/codec/steps.ts';
import * as rows from '../../src/codec/store-rows.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { mutated, mutation } from './mutations.ts';
import { Outcomes } from './outcome.ts';

const RECORD: InodeRecord = {
  ...emptyRecord(77 as Ino),
  mode: 0o100644,
  size: 5000,
  xattrs: new Map([['user.a', Buffer.from('value')]]),
};

function inodeBytes(): Buffer {
  const bytes = Buffer.alloc(inodeBytesMax(RECORD));
  return bytes.subarray(0, encodeInode(RECORD, bytes, 0));
}

const json = (value: unknown): Buffer =>
  Buffer.concat([Buffer.of(1), Buffer.from(JSON.stringify(value))]);

/** Each kind: a right one, and what decodes it. */
const KINDS: Record<string, readonly [Buffer, (bytes: Buffer) => unknown]> = {
  'an inode': [inodeBytes(), (bytes) => decodeInode(bytes, 0, bytes.length)],
  'a link’s history': [
    encodeHistory([
      { version: 2, record: null },
      { version: 1, record: RECORD },
    ]),
    decodeHistory,
  ],
  'an env’s settings': [
    encodeSettings({ ...NO_SETTINGS, environment: { A: 'b' }, init: ['sleep', '1'] }),
    decodeSettings,
  ],
  'a template': [
    rows.encodeTemplate({
      ...{ id: 1, name: 'os', kind: 'os', current: 1, newest: 2 },
      sharedPatterns: ['usr/**'],
    }),
    rows.decodeTemplate,
  ],
  'a version': [
    rows.encodeVersion({
      ...{ number: 1, label: 'l', note: 'n', dateMs: 1, files: 2, directories: 3, bytes: 4 },
      ...{ addedObjects: 1, addedBytes: 2, staged: false, config: 'name: a\n' },
      base: { templateId: 1, version: 2 },
    }),
    rows.decodeVersion,
  ],
  'an env': [
    rows.encodeEnv({
      ...{ id: 1, name: 'web', createdMs: 1, shard: 0 },
      stack: [{ templateId: 1, template: 'os', pinned: 2, canary: null }],
    }),
    rows.decodeEnv,
  ],
  'an object': [rows.encodeObject({ size: 5000, blocks: 16, refs: 2 }), rows.decodeObject],
  'a directory’s name': [
    rows.encodeDirName({ parent: 2 as Ino, name: nameFromText('usr') }),
    rows.decodeDirName,
  ],
  'names of an inode': [
    rows.encodeInodeNames({ template: 1, names: [{ dir: 2 as Ino, name: nameFromText('a') }] }),
    rows.decodeInodeNames,
  ],
  'a number': [rows.encodeNumber(123_456), rows.decodeNumber],
  'a patch': [json({ id: 1, template: 'os', from: 1, to: 2, state: 'done' }), decodePatchHead],
  'envs of a patch': [json([{ id: 1, name: 'web', outcome: 'done', acts: [] }]), decodePatchEnvs],
  'steps of a flip': [encodeSteps([]), decodeSteps],
};

test.each(Object.entries(KINDS))('%s', (_, [right, decode]) => {
  decode(right);
  const outcomes = new Outcomes();
  const change = mutation(
    fc
      .constantFrom('null', '[]', '{}', '-1', '""', '\xff\xff\xff\xff\xff\xff\xff\x0f')
      .map((text) => Buffer.from(text, 'latin1')),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = mutated(right, changes);
      try {
        decode(bytes);
        outcomes.add('told', () => '');
      } catch (error) {
        const isTold = error instanceof Damaged && error.message !== '';
        outcomes.add(isTold ? 'told' : 'wrong', () => `${String(error)}: ${bytes.toString('hex')}`);
      }
    }),
    propertyRuns(300),
  );
  expect(outcomes.bad, outcomes.text).toEqual({});
});
