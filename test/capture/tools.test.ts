/** This machine's own make, npm and pip, seen read-only by what is captured. */
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { output } from '../support/machine/program.ts';
import { Captures } from './captures.ts';

let captures: Captures;

beforeAll(async () => {
  captures = await Captures.create();
});
afterAll(() => captures.dispose());

const TOOLS = '/mnt/tools';
const LIBRARIES = path.dirname(
  /=> (\S*libstdc[+][+]\S*)/.exec(
    execFileSync('ldd', [process.execPath], { encoding: 'utf8' }),
  )?.[1] ?? '/usr/lib/libc.so',
);

/** Programs and libraries of the machine, for what runs in the tiny system. */
const seen = (...binds: readonly string[]): string[] => [
  ...['--bind', `${realpathSync(LIBRARIES)}:${TOOLS}/lib`, '-e', `LD_LIBRARY_PATH=${TOOLS}/lib`],
  ...binds.flatMap((bind) => ['--bind', bind]),
];

const machine = (name: string): string | null => {
  const found = ['/usr/bin', '/usr/local/bin'].map((dir) => path.join(dir, name)).find(existsSync);
  return found === undefined ? null : realpathSync(found);
};

const listingOf = (name: string): Promise<string> =>
  captures.content(name, `/var/lib/byref/captured/${name}.list`);

const make = machine('make');
test.skipIf(make === null)('make install', async () => {
  const source = captures.source({
    Makefile:
      'install:\n\tinstall -d $(DESTDIR)/usr/local/bin\n\tinstall hello $(DESTDIR)/usr/local/bin\n',
    hello: '#!/bin/sh\necho hello\n',
  });
  const options = [...seen(`${make}:${TOOLS}/make`, source), '--workdir', source];
  await captures.captured('made', `${TOOLS}/make install`, ...options);
  expect(await listingOf('made')).toBe('install\t/usr/local/bin/hello\n');
  expect(await captures.inEnv(['made'], 'hello')).toBe('hello\n');
});

const npm = machine('npm');
test.skipIf(npm === null)('npm install -g: the tree, the symlink, and not its cache', async () => {
  const source = captures.source({
    'package/package.json': '{"name":"greeting","version":"1.0.0","bin":{"greeting":"bin.js"}}',
    'package/bin.js': '#!/usr/bin/env node\nconsole.log("greeting");\n',
  });
  await output('tar', ['czf', path.join(source, 'greeting.tgz'), '-C', source, 'package']);
  const binds = [
    `${process.execPath}:${TOOLS}/node`,
    `${path.dirname(path.dirname(npm!))}:${TOOLS}/npm`,
  ];
  const install = `PATH=${TOOLS}:$PATH node ${TOOLS}/npm/bin/npm-cli.js install -g --offline --prefix /usr/local`;
  const made = await captures.captured(
    'greeting',
    `${install} ${source}/greeting.tgz >&2`,
    ...seen(...binds, source),
    '--offline',
  );
  expect(await captures.files('greeting')).toEqual([
    '/usr/local/bin/greeting',
    '/usr/local/lib/node_modules/greeting/bin.js',
    '/usr/local/lib/node_modules/greeting/package.json',
    '/var/lib/byref/captured/greeting.list',
  ]);
  expect(made.leftOut.map(({ rule }) => rule)).toContain('/root/.npm/_cacache');
  expect(await listingOf('greeting')).toContain('node npm\t/usr/local/bin/greeting\n');
});

const python = machine('python3');
const pip = '/usr/lib/python3/dist-packages/pip';
test.skipIf(python === null || !existsSync(pip))('pip install, twice the same', async () => {
  const source = captures.source({});
  const wheel = `
import zipfile
with zipfile.ZipFile('${source}/hi-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('hi.py', 'def main():\\n    print("hi")\\n')
    wheel.writestr('hi-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: hi\\nVersion: 1.0\\n')
    wheel.writestr('hi-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('hi-1.0.dist-info/RECORD', '')
`;
  writeFileSync(path.join(source, 'wheel.py'), wheel);
  await output('/usr/bin/python3', [path.join(source, 'wheel.py')]);
  const version = path.basename(python!);
  const options = seen(
    `${python}:${TOOLS}/bin/python3`,
    `/usr/lib/${version}`,
    '/usr/lib/python3',
    source,
  );
  const script = `${TOOLS}/bin/python3 -m pip install --quiet --no-index --prefix /opt/hi ${source}/*.whl >&2`;
  await captures.captured('hi', script, ...options);
  const files = await captures.files('hi');
  const module = files.find((file) => file.endsWith('/hi.py'));
  expect(files.filter((file) => /__pycache__.*[.]pyc$/.test(file))).toHaveLength(1);
  expect(await listingOf('hi')).toContain(`python3 pip\t${module}\n`);
  expect(await captures.captured('hi', script, ...options)).toMatchObject({ end: 'unchanged' });
});
