import { procLink } from '../../../base/proc.ts';

/** A bridge, and the network namespace of the machine in which it is, as /proc/self/ns/net shows it. */
export interface BridgePlace {
  readonly bridge: string;
  readonly namespace: string;
}

/** Returns the network namespace in which this process is. */
export const ownNamespace = (): string => procLink('/proc/self/ns/net');

/** Returns the name for directories of what belongs to a bridge: BRIDGE.NAMESPACE. */
export function directoryName({ bridge, namespace }: BridgePlace): string {
  const inode = /\d+/.exec(namespace)?.[0] ?? '0';
  return `${bridge}.${inode}`;
}
