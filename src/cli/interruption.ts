const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** The first Ctrl-C of a command, which `signal` reports; a second one ends the process. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** From now on, the first Ctrl-C ends the process, too. */
  readonly release: () => void;
  /** After release(): the first Ctrl-C is reported again. */
  readonly renew: () => void;
}

/** Catches the first SIGINT or SIGTERM. @param said is called when it arrives */
export function interruption(said: () => void = () => undefined): Interruption {
  const controller = new AbortController();
  const abort = (): void => {
    said();
    controller.abort();
  };
  const renew = (): void => {
    for (const name of SIGNALS) process.once(name, abort);
  };
  renew();
  return {
    signal: controller.signal,
    renew,
    release() {
      for (const name of SIGNALS) process.off(name, abort);
    },
  };
}
