/**
 * Runs commands of byref one after the other, each of them as if a process had been started for it: the bundle begins anew,
 * with the words, the environment and the streams of the command, and the command is over when nothing is left to wait
 * for. What is saved is the start of Node, and the compilation, which are most of what a short command takes.
 *
 * A child of commands.ts, which sends `{ words, env, cwd }`, and gets `{ code, stdout, stderr, isLast }`. The last command is one
 * that left something open, which the end of a process would have closed: this one ends then.
 */
const { readdirSync, readFileSync, readlinkSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const path = require('node:path');
const { Writable } = require('node:stream');
const { Script } = require('node:vm');

const bundle = path.join(__dirname, '../../../dist/cli/main.cjs');
const script = new Script(wrap(readFileSync(bundle, 'utf8')), {
  filename: bundle,
  cachedData: readFileSync(bundle.replace(/[.]cjs$/, '.cache')),
});
const load = createRequire(bundle);
globalThis.byrefImport = (url) => import(url);

const [node] = process.argv;
const EVENTS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH', 'SIGTSTP', 'SIGCONT', 'exit'];
/** The command that is being run; null if none is. */
let current = null;

/** A stream that keeps what is written to it. */
function keeping() {
  const chunks = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return Object.assign(stream, { isTTY: false, text: () => Buffer.concat(chunks).toString() });
}

/** Returns the files and sockets that are open. */
function openNow() {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => /^(\/(?!proc)|socket:)/.test(link));
}
const openBefore = new Set(openNow());

function begin({ words, env, cwd }) {
  current = { stdout: keeping(), stderr: keeping() };
  for (const name of ['stdout', 'stderr'])
    Object.defineProperty(process, name, { configurable: true, value: current[name] });
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
  process.argv = [node, path.join(__dirname, '../../../bin/byref.cjs'), ...words];
  process.exitCode = undefined;
  process.chdir(cwd);
  const module = { exports: {} };
  script.runInThisContext()(module.exports, load, module, bundle, path.dirname(bundle));
}

/** Says how the command ended. @param isOver true if this process has to end, too */
function finish(code, isOver) {
  const { stdout, stderr } = current;
  current = null;
  process.emit('exit', code);
  for (const event of EVENTS) process.removeAllListeners(event);
  process.exitCode = undefined;
  const isLast = isOver || openNow().some((link) => !openBefore.has(link));
  process.send({ code, stdout: stdout.text(), stderr: stderr.text(), isLast }, () => {
    if (isLast) exit();
  });
}

const { exit } = process;
/** A command that ends so may have left things that go on: they end with this process. */
process.exit = (code = process.exitCode ?? 0) => {
  if (current === null) exit(code);
  finish(code, true);
  // As the true one, it does not come back.
  throw new Error('process.exit');
};
process.on('message', (command) => {
  // From now on it is the command alone that keeps this process from ending.
  process.channel.unref();
  begin(command);
});
process.on('beforeExit', () => {
  if (current === null) return;
  process.channel?.ref();
  finish(process.exitCode ?? 0, false);
});
process.on('disconnect', () => exit());
