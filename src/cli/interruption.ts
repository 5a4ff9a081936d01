const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Ctrl-C, once: what the command does then; a second one ends it. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** From now on the first one ends it, too. */
  readonly release: () => void;
}

/** @param said is called when it comes */
export function interruption(said: () => void = () => undefined): Interruption {
  const controller = new AbortController();
  const abort = (): void => {
    said();
    controller.abort();
  };
  for (const name of SIGNALS) process.once(name, abort);
  return {
    signal: controller.signal,
    release() {
      for (const name of SIGNALS) process.off(name, abort);
    },
  };
}
