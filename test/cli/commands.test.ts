import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { VERSION } from '../../src/base/version.ts';
import { loadCommand } from '../../src/cli/registry.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { runAsNobody } from '../support/machine/nobody.ts';
import { run, runByref, sh, TREE } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;

beforeAll(async () => {
  root = await TestRoot.create();
  await root.ok('template', 'import', 't', root.directory('source'));
  await root.ok('create', 'one', '--os', 't');
  await root.ok('create', 'two', '--os', 't@1');
});
afterAll(() => root.dispose());

test.each([
  ['an unknown command names the nearest', ['lsit'], 'usage', 'Did you mean: byref list'],
  ['so does one of a group', ['template', 'imprt'], 'usage', 'Did you mean: byref template import'],
  ['so does the first word of a group', ['temlpate'], 'usage', 'Did you mean: byref template'],
  ['and both', ['temlpate', 'lst'], 'usage', 'Did you mean: byref template list'],
  ['an unknown option', ['list', '--lng'], 'usage', 'See: byref list --help'],
  [
    'one that is nearly known',
    ['list', '--jsno'],
    'usage',
    'Did you mean --json? See: byref list --help',
  ],
  ['a missing operand', ['info'], 'usage', 'See: byref info --help'],
  ['an unknown column', ['list', '-o', 'nam'], 'usage', 'Columns are: name'],
  ['an unknown env', ['info', 'three'], 'notFound', 'byref list'],
  ['an unknown template', ['create', 'x', '--os', 'u'], 'notFound', 'template list'],
  ['an unknown version', ['create', 'x', '--os', 't@7'], 'notFound', 'template show t'],
  ['a name in use', ['create', 'one', '--os', 't'], 'exists', 'another name'],
  ['a name that is no file name', ['create', 'a/b', '--os', 't'], 'usage', 'letters, digits'],
  ['an app as os', ['create', 'x', '--os', 't', '--app', 't'], 'usage', '--app'],
  ['a transport that is none', ['mount', 'one', '--transport', 'x'], 'usage', 'fuse-native'],
] as const)('%s ends with a sentence, a hint and a code', async (_, args, code, hint) => {
  const { stderr, code: actual } = await root.byref(...args);
  expect(actual).toBe(EXIT[code]);
  expect(stderr).toMatch(/^byref: .+\n/);
  expect(stderr).toContain(`  hint: `);
  expect(stderr).toContain(hint);
  expect(stderr).not.toContain('    at '); // a stack is for bugs
});

test('with --json an error is one object on stderr', async () => {
  const { stdout, stderr } = await root.byref('info', 'three', '--json');
  expect(stdout).toBe('');
  const { error } = JSON.parse(stderr) as { error: object };
  expect(error).toMatchObject({ code: 'notFound', exitCode: EXIT.notFound });
  expect(Object.keys(error)).toEqual(['code', 'exitCode', 'message', 'hint']);
});

test('init refuses a root, and a directory that holds something else', async () => {
  expect((await root.byref('init')).code).toBe(EXIT.exists);
  const { code, stderr } = await root.byref('init', '--root', path.join(TREE, 'src'));
  expect(code).toBe(EXIT.badInput);
  expect(stderr).toContain('holds something else');
});

test('what is no root is said to be none', async () => {
  const { code, stderr } = await root.byref('list', '--root', root.base);
  expect(code).toBe(EXIT.notFound);
  expect(stderr).toContain(`byref init --root ${root.base}`);
});

test('list -H -o gives exactly the fields asked for, one line per env', async () => {
  expect(await root.ok('list', '-H', '-o', 'name')).toBe('one\ntwo\n');
  expect(await root.ok('list', '-H', '-o', 'os,name,apps')).toBe('t\tone\t-\nt@1\ttwo\t-\n');
  expect(await root.ok('ls', '-q')).toBe('one\ntwo\n');
});

test('a piped table is neither aligned nor trimmed', async () => {
  const [header, first] = (await root.ok('list')).split('\n');
  expect(header).toBe('NAME\tSTATE\tOS\tAPPS\tADDRESS\tMOUNTPOINT\tCREATED');
  expect(first).toMatch(/^one\tstopped\tt\t-\t-\t-\t\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('options may come before the verb', async () => {
  const { stdout } = await runByref(['--root', root.path, '--json', 'list']);
  expect((JSON.parse(stdout) as { name: string }[]).map(({ name }) => name)).toEqual([
    'one',
    'two',
  ]);
});

test('an env is named by its id, too', async () => {
  expect((await root.info('2')).name).toBe('two');
});

test('an error with one env does not stop the others', async () => {
  await root.ok('create', 'three', '--os', 't');
  await root.ok('mount', 'three');
  const { code, stdout } = await root.byref('destroy', 'three', 'two');
  expect(code).toBe(EXIT.busy);
  expect(stdout).toBe('two: destroyed\n');
  await root.ok('destroy', '-f', 'three');
  await root.ok('create', 'two', '--os', 't@1');
});

test('one who is not root is told to be', async () => {
  const { code, stderr } = await runAsNobody(['bin/byref', 'list'], { env: root.env });
  expect(code).toBe(EXIT.unsupported);
  expect(stderr).toBe(
    `byref: ${root.path} is root's, and you are user 65534\n  hint: Run byref as root: sudo byref ...\n`,
  );
});

test('help says times with their units', async () => {
  const { stdout } = await runByref(['patch', '--help']);
  const text = stdout.replaceAll(/\s+/g, ' ');
  for (const shown of ['(default: 1m)', '(default: 30s)', '(default: 1s)', '500ms, 30s, 2m, 1h'])
    expect(text).toContain(shown);
  expect(text).not.toContain('30000');
});

test('every verb has --help, which names it and the options of all', async () => {
  for (const { name } of VERBS) {
    const help = (await loadCommand(name)).helpInformation();
    expect(help).toContain(`Usage: byref ${name}`);
    expect(help).toContain('--json');
  }
  const { code, stdout } = await runByref(['template', 'list', '--help']);
  expect(code).toBe(EXIT.ok);
  expect(stdout).toContain('Usage: byref template list');
});

test('help lists every verb; without a verb it is an error', async () => {
  const { code, stdout } = await runByref(['--help']);
  expect(code).toBe(EXIT.ok);
  for (const { name } of VERBS) expect(stdout).toContain(`  ${name}`);
  expect((await runByref([])).code).toBe(EXIT.usage);
});

test('docs/reference/exit-codes.md describes every exit code', () => {
  const text = readFileSync(path.join(TREE, 'docs/reference/exit-codes.md'), 'utf8');
  for (const [name, code] of Object.entries(EXIT)) expect(text).toContain(`| ${code} | ${name} |`);
});

test('the version is the one of package.json', async () => {
  const { version } = JSON.parse(readFileSync(path.join(TREE, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(VERSION).toBe(version);
  expect((await runByref(['--version'])).stdout).toBe(`byref ${version}\n`);
});

test('bash completes verbs, envs and templates', async () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const script = `
      eval "$("$1" completion bash)"; shift
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _byref; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const bin = path.join(TREE, 'bin');
    const env = { ...root.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    const { stdout } = await sh(script, [path.join(bin, 'byref'), ...words], { env });
    return stdout.trim().split('\n');
  };
  expect(await complete('byref', 'um')).toEqual(['umount']);
  expect(await complete('byref', 'template', 'im')).toEqual(['import']);
  expect(await complete('byref', 'mount', 'o')).toEqual(['one']);
  // Of the kind that fits.
  await root.ok('template', 'import', 'an-app', root.directory('source'), '--kind', 'app');
  expect(await complete('byref', 'create', 'x', '--os', '')).toEqual(['t']);
  expect(await complete('byref', 'create', 'x', '--os', 't', '--app', '')).toEqual(['an-app']);
  expect(await complete('byref', 'patch', '')).toEqual(['an-app', 't']);
  expect(await complete('byref', 'template', 'import', '--kind', '')).toEqual(['os', 'app']);
  expect(await complete('byref', 'mount', '--transport', 'f')).toEqual(['fuse-native']);
  expect(await complete('byref', 'he')).toEqual(['help']);
  expect(await complete('byref', 'help', 'umo')).toEqual(['umount']);
  expect(await complete('byref', 'help', 'template', 'imp')).toEqual(['import']);
  expect(await complete('byref', '--root', path.join(TREE, 'src/cl'))).toEqual([
    path.join(TREE, 'src/cli'),
  ]);
  expect(await complete('byref', '--root', root.path, 'template', 'im')).toEqual(['import']);
  expect(await complete('byref', '--root', root.path, 'info', 'tw')).toEqual(['two']);
  expect(await complete('byref', 'create', '--cou')).toEqual(['--count']);
  expect(await complete('byref', 'create', '--config', 'sm')).toEqual(['small']);
  await root.ok('template', 'rm', 'an-app');
});

test('the scripts for zsh and fish name every verb', async () => {
  for (const shell of ['zsh', 'fish']) {
    const { stdout } = await runByref(['completion', shell]);
    for (const { name } of VERBS) expect(stdout).toContain(name.split(' ').at(-1));
  }
});

test('doctor finds this machine fit, and every check has a name and a status', async () => {
  const { stdout, code } = await root.byref('doctor', '--json');
  expect(code).toBe(EXIT.ok);
  const { usable, checks } = JSON.parse(stdout) as {
    usable: boolean;
    checks: { name: string; status: string; cost: string }[];
  };
  expect(usable).toBe(true);
  expect(checks.map(({ name }) => name)).toContain('fuse.passthrough');
  for (const { status, cost } of checks) expect(cost === '').toBe(status === 'ok');
});

test('doctor asks for the programs that byref starts, and for no other', async () => {
  const { checks } = await root.json<{
    checks: { name: string; status: string; found: string }[];
  }>('doctor');
  const tools = checks.filter(({ name }) => name.startsWith('tool.'));
  expect(tools.map(({ name }) => name.slice(5)).sort()).toEqual(
    ['apt-get', 'bzip2', 'diff', 'diff3', 'dpkg', 'gpg', 'gpgv', 'gzip', 'mmdebstrap']
      .concat([
        'setpriv',
        'tar',
        'unshare',
        'xz',
        'zstd',
        'catatonit',
        'runc',
        'seccomp',
        'cni',
        'iptables',
        'mkfs.ext4',
        'tc',
        'dnsmasq',
      ])
      .sort(),
  );
  for (const { name, status, found } of tools) {
    expect([name, status === 'ok']).toEqual([name, found.startsWith('/')]);
  }
  // Each is named by what starts it.
  const { stdout } = await sh('find "$1" -name \'*.ts\' -exec cat {} +', [path.join(TREE, 'src')]);
  for (const name of ['mmdebstrap', 'setpriv', 'unshare', 'diff3', 'diff', 'tar'])
    expect(stdout).toMatch(new RegExp(`'${name}'[,\\n]`));
});

test('doctor says what is lacking to one who is not root, with exit code 8', async () => {
  const { code, stdout } = await run('setpriv', [
    '--bounding-set=-sys_admin',
    '--inh-caps=-sys_admin',
    path.join(TREE, 'bin/byref'),
    'doctor',
  ]);
  expect(code).toBe(EXIT.unsupported);
  expect(stdout).toMatch(/^privileges\tmissing\t/m);
});
