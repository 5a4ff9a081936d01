/** Contents of every format, at random, and what they have in them. */
import fc from 'fast-check';
import { ALTERNATIVES } from '../../src/manager/merge/alternatives.ts';
import { GROUP, GSHADOW, PASSWD, SHADOW, SUBIDS } from '../../src/manager/merge/colon.ts';
import { DEBCONF } from '../../src/manager/merge/debconf.ts';
import {
  DIVERSIONS,
  DPKG_STATUS,
  EXTENDED_STATES,
  STATOVERRIDE,
} from '../../src/manager/merge/dpkg.ts';
import type { KeyedFormat, KeyedRecord } from '../../src/manager/merge/format.ts';
import {
  CA_CERTIFICATES,
  LOCALE_GEN,
  NSSWITCH,
  UCF,
  XML_CATALOG,
} from '../../src/manager/merge/keyed-lines.ts';
import { LINE_SET } from '../../src/manager/merge/lines.ts';

/** One format, and how its n-th record is written with some value in it. Another n is another key. */
export interface Sample {
  readonly format: KeyedFormat;
  readonly head: string;
  readonly record: (n: number, value: number) => string;
}

const sample = (
  format: KeyedFormat,
  record: (n: number, value: number) => string,
  head = '',
): Sample => ({ format, head, record });

/** Values are such that no format can bring two of them together. */
export const SAMPLES: readonly Sample[] = [
  sample(PASSWD, (n, v) => `u${n}:x:${v}:100:caf\xe9:/:/bin/sh\n`),
  sample(SHADOW, (n, v) => `u${n}:$y$${v}:19000:0:99999:7:::\n`),
  sample(GROUP, (n, v) => `g${n}:x:${v}:\n`),
  sample(GSHADOW, (n, v) => `g${n}:${v}::\n`),
  sample(SUBIDS, (n, v) => `u${n}:${v}:65536\n`),
  sample(DPKG_STATUS, (n, v) => `Package: p${n}\nVersion: ${v}\nDescription: \xff\n .\n x\n\n`),
  sample(
    EXTENDED_STATES,
    (n, v) => `Package: p${n}\nArchitecture: amd64\nAuto-Installed: ${1 + v}\n\n`,
  ),
  sample(DEBCONF, (n, v) => `Name: a/q${n}\nTemplate: a/q${n}\nValue: ${v}\nOwners: a\n\n`),
  sample(DIVERSIONS, (n, v) => `/a${n}\n/a${n}.${v}\np\n`),
  sample(STATOVERRIDE, (n, v) => `root root ${v} /a b/${n}\n`),
  sample(UCF, (n, v) => `${v}  /etc/${n}\n`),
  sample(NSSWITCH, (n, v) => `d${n}: files [NOTFOUND=return] s${v}\n`),
  sample(ALTERNATIVES, (n, v) => `/bin/c${n}\n${v}\n\n`, 'auto\n/bin/c\nc.1\n/man/c.1\n\n'),
];

/** Those in which a record has a key and nothing else. */
export const SETS: readonly Sample[] = [
  sample(LINE_SET, (n) => `/bin/${n}\n`),
  sample(XML_CATALOG, (n) => `<delegate${n}/>\n`),
  sample(CA_CERTIFICATES, (n) => `mozilla/${n}.crt\n`),
  sample(LOCALE_GEN, (n) => `l${n} UTF-8\n`),
];

/** Key -> value, in the order of the file. */
export type Model = ReadonlyMap<number, number>;

export const model = (keys: number): fc.Arbitrary<Model> =>
  fc
    .uniqueArray(fc.tuple(fc.nat(keys - 1), fc.nat(3)), { selector: ([n]) => n, maxLength: keys })
    .map((pairs) => new Map(pairs));

export function write({ head, record, format }: Sample, of: Model): string {
  const end = format === ALTERNATIVES ? '\n' : '';
  return head + [...of].map(([n, value]) => record(n, value)).join('') + end;
}

export function recordsOf(format: KeyedFormat, content: string | null): KeyedRecord[] {
  const records = content === null ? [] : format.parse(content);
  if (records === null) throw new Error(`no ${format.name}: ${content}`);
  return records;
}

export const keysOf = (format: KeyedFormat, content: string | null): string[] =>
  recordsOf(format, content)
    .map(({ key }) => key)
    .sort();
