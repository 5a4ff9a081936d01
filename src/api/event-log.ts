/** The events of a daemon: what happened to envs, templates and operations, by whoever's command. */

/** One event. Fields beside these say what it is about: docs/reference/daemon.md. */
export interface DaemonEvent {
  /** Counts from the start of the daemon, from 1. */
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Such as 'env.started'. */
  readonly what: string;
  readonly [field: string]: unknown;
}

type Listener = (event: DaemonEvent) => void;

/** How many events are kept for clients that ask for earlier ones. */
const KEPT = 1000;

/** Keeps the last events, and passes on new ones. */
export class EventLog {
  private readonly kept: DaemonEvent[] = [];
  private readonly listeners = new Set<Listener>();
  private count = 0;

  /** Adds an event. */
  add(what: string, fields: Readonly<Record<string, unknown>>): void {
    this.count++;
    const event = { number: this.count, at: new Date().toISOString(), what, ...fields };
    this.kept.push(event);
    if (this.kept.length > KEPT) this.kept.shift();
    for (const listener of this.listeners) listener(event);
  }

  /**
   * Calls the listener for each event after the one of that number, and from now on. Returns a function that ends that.
   * @param after null: only those to come
   */
  follow(after: number | null, listener: Listener): () => void {
    if (after !== null) for (const event of this.kept) if (event.number > after) listener(event);
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
