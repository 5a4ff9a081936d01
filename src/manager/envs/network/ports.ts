import { ByrefError } from '../../../base/error.ts';

/** A port of the machine that leads to one of an env; as CNI's portmap takes it. */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
  /** The machine's address that it is on; all of them if it is not given. */
  readonly hostIP?: string;
}

const PORT = /^(?:(\d{1,3}(?:[.]\d{1,3}){3}):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/;
const PORT_MAX = 65_535;

/**
 * Parses published ports, each as docker writes it: [ADDRESS:]PORT:PORT-IN-ENV[/tcp|/udp].
 * @throws ByrefError 'usage'
 */
export const parsePorts = (ports: readonly string[]): PortMapping[] => ports.map(parsePort);

function parsePort(text: string): PortMapping {
  const [, hostIP, host = '', inside = '', protocol = 'tcp'] = PORT.exec(text) ?? [];
  const hostPort = Number(host);
  const containerPort = Number(inside);
  const isPort = (port: number): boolean => port >= 1 && port <= PORT_MAX;
  if (!isPort(hostPort) || !isPort(containerPort)) {
    const hint = 'Write PORT:PORT-IN-ENV, as 8080:80, 127.0.0.1:8080:80 or 53:53/udp.';
    throw new ByrefError('usage', `"${text}" publishes no port`, hint);
  }
  const mapping = { hostPort, containerPort, protocol: protocol as 'tcp' | 'udp' };
  return hostIP === undefined ? mapping : { ...mapping, hostIP };
}
