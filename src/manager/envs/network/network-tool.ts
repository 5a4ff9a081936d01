import { type Ended, runProgram } from '../../../base/run-program.ts';

/** Where programs of the network are searched: the caller's own PATH may lack what only root uses. */
export const SEARCHED = '/usr/sbin:/usr/bin:/sbin:/bin';
const OUTPUT_MAX = 4096;

/**
 * Runs a program of the machine that changes its network, as ip(8), tc(8) and iptables(8). Never rejects.
 * @param timeoutMs after which it is ended; without it, it is waited for
 */
export const runNetworkTool = (words: readonly string[], timeoutMs?: number): Promise<Ended> =>
  runProgram(words, {
    env: { PATH: SEARCHED },
    outputMax: OUTPUT_MAX,
    ofMore: 'end',
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });

/** Returns what a program complained of, in one line. @param silent what is returned if it said nothing */
export const complaintOf = ({ stderr, how }: Ended, silent = how): string =>
  stderr.toString().trim().replace(/\s+/g, ' ') || silent;
