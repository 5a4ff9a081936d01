/** One way to give programs a private, writable view of the same root. */
export interface Peer {
  /** As in --peers and in the results. */
  readonly name: string;
  /** False for the plain directory: what is written there stays. */
  readonly copiesOnWrite: boolean;
  /** Once, before any env: what envs are made from. */
  prepare(): Promise<void>;
  /** A new env, pristine and mounted. Ids are used once. */
  open(id: string): Promise<Env>;
  close(): Promise<void>;
}

export interface Env {
  /** Its root directory. */
  readonly root: string;
  /** Unmounts and forgets it; hung mounts are aborted. */
  close(): Promise<void>;
}

/** What a peer is made from: directories of one backing. */
export interface PeerSite {
  /** For all that the peers make: upper directories, stores, mount points. */
  readonly dir: string;
  /** A pristine root that nobody writes to: the lower directory, or the source of an import. */
  readonly lower: string;
  /** A root of the same bytes, for the plain peer to write to. */
  readonly plain: string;
}
