/**
 * What `byref move` and `byref receive` say to each other.
 *
 *     move                                          receive
 *     hello: name, versions of the stack        ->
 *                                               <-  need: identities of versions that are not there; held, part: what it has of this move
 *     version, and its listing                  ->                                          for each of these
 *                                               <-  lacks: objects that are not there
 *     these objects                             ->
 *                                               <-  took: it has the version
 *     round, and a backup                       ->                                          of a warm move, several times
 *                                               <-  took: the next one can build on it
 *     processes, and images of them             ->                                          of a live move, to build on
 *     the last round                            ->
 *                                               <-  whole: it is restored, under a name that nobody sees
 *     processes, and images of them             ->                                          of a live move: those that go on
 *     confirm                                   ->
 *                                               <-  done: it has its name, and runs if it ran
 *
 * Instead of each of its answers, the receiver may send an error: then it has made nothing, and keeps nothing. If the connection ends before `confirm`, it
 * undoes what it made, and keeps what came: the sender may go on with it. A sender that has confirmed and hears no more asks on another connection what
 * became of it.
 */
import type { StackName } from '../manager/backup/manifest.ts';
import type { CheckpointRecord } from '../manager/envs/checkpoint/record.ts';
import type { ComingRound } from '../manager/moves/incoming.ts';

/** Of the protocol; another one is refused. */
export const MOVE_PROTOCOL = 3;

/** The first message of a sender. */
export interface Hello {
  readonly byref: 'move' | 'ask';
  readonly protocol: number;
  /** Random, 32 hex digits: of one move. */
  readonly move: string;
  /** The name that the env is to have. */
  readonly name: string;
  readonly stack: readonly StackName[];
  /** Versions beside those that apps of the stack were installed on: without them, what the apps share could not be merged. */
  readonly bases: readonly StackName[];
  readonly sameIdentity: boolean;
  readonly start: boolean;
  /** True: its programs are to go on there. */
  readonly live: boolean;
  /** The machine that sends it, for people. */
  readonly from: string;
  /** A move that the sender has given up: nothing of it is to be kept. null: there is none. */
  readonly forget: string | null;
}

/** The env as the receiver has it. */
export interface Received {
  readonly name: string;
  readonly id: number;
  /** null: it does not run. */
  readonly pid: number | null;
}

/** A round of which bytes follow. */
export interface RoundMessage extends ComingRound {
  /** How many bytes of it the other side has already. */
  readonly from: number;
  /** True: after this one the env is whole. */
  readonly last: boolean;
}

/** A message; which fields it has says what it is. */
export interface Message extends Partial<Hello> {
  readonly need?: readonly string[];
  readonly held?: string | null;
  readonly part?: { readonly id: string; readonly bytes: number } | null;
  /** Says that what is held is of no use. */
  readonly reset?: boolean;
  readonly version?: string;
  /** Of an app's version: the identity of the version that it was installed on; null: not known. */
  readonly base?: string | null;
  /** Objects, and from where on each is wanted. More such messages follow, if `more` is true. */
  readonly lacks?: readonly (readonly [id: string, from: number])[];
  readonly more?: boolean;
  readonly round?: RoundMessage;
  /** Images of processes follow: null, to build on; else those that go on. */
  readonly processes?: CheckpointRecord | null;
  readonly took?: string;
  readonly whole?: boolean;
  readonly confirm?: boolean;
  readonly done?: Received;
  /** The answer to `ask`, and to a move that is done already. */
  readonly has?: Received | null;
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}
