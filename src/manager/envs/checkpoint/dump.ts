/** Puts the processes of a running env, which go on, into files: through the OCI runtime and CRIU. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { runProgram } from '../../../base/run-program.ts';
import type { BundleDir } from '../runtime/bundle-dir.ts';
import { runtimeProgram } from '../runtime/runtime-program.ts';
import { CRIU_CONFIG, criuComplaint, criuEnvironment } from './criu.ts';

const OUTPUT_MAX = 65_536;
/** The directory in a bundle in which CRIU has its logs. */
const WORK = 'criu';

/** What CRIU is to do. */
export interface DumpOptions {
  /** Where the images come; it is made. */
  readonly images: string;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/**
 * Dumps them. They stand still meanwhile, and afterwards if they did before.
 * @throws ByrefError 'unsupported' with what CRIU or the runtime says; then there are no images
 */
export async function dumpProcesses(
  bundle: BundleDir,
  name: string,
  { images, signal }: DumpOptions,
): Promise<void> {
  mkdirSync(images, { mode: 0o700 });
  const work = makeWork(bundle);
  const words = [
    runtimeProgram(),
    ...['--root', bundle.runtimeState, 'checkpoint', '--leave-running', '--tcp-established'],
    // Its network is made anew.
    ...['--file-locks', '--empty-ns', 'network'],
    ...['--image-path', images, '--work-path', work, bundle.name],
  ];
  const { code, stderr, how } = await runProgram(words, {
    env: runtimeEnvironment(bundle),
    outputMax: OUTPUT_MAX,
    ofMore: 'end',
    signal,
  });
  if (code === 0) return;
  rmSync(images, { recursive: true, force: true });
  signal.throwIfAborted();
  const said = criuComplaint(path.join(work, 'dump.log')) || stderr.toString().trim() || how;
  const message = `the processes of ${name} can't be put into files: ${said}`;
  throw new ByrefError(
    'unsupported',
    message,
    'It goes on. See byref doctor for what CRIU can do here.',
  );
}

/** Returns CRIU's directory in a bundle, and the file of our configuration. */
export function workOf({ path: bundle }: BundleDir): { directory: string; config: string } {
  const directory = path.join(bundle, WORK);
  return { directory, config: path.join(directory, 'config') };
}

/** Makes that directory. Returns it. */
export function makeWork(bundle: BundleDir): string {
  const { directory, config } = workOf(bundle);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(config, CRIU_CONFIG, { mode: 0o600 });
  return directory;
}

/** Returns the environment for a runtime that is to run CRIU; makeWork() was called. */
export const runtimeEnvironment = (bundle: BundleDir): NodeJS.ProcessEnv =>
  criuEnvironment(workOf(bundle).config);

/** Returns what CRIU said last when processes could not be made of images; '' if it said nothing. */
export const restoreComplaint = (bundle: BundleDir): string =>
  criuComplaint(path.join(workOf(bundle).directory, 'restore.log'));
