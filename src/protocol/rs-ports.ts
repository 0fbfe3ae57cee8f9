/** RS/networking/port-configurations, and the TCP side of DNS. */
// biome-ignore format: it is a table
const tcpPorts: readonly (number | readonly [number, number])[] = [
  53, 1968, [3333, 3349], [3350, 3355], 3357, 8000, 8001, 8002, 8004, 8006, 8070, 8071, 8080,
  8443, 8444, [9080, 9082], 9091, 9125, 9443, [10_000, 19_999], [20_000, 29_999], 36_379,
];
const udpPorts: readonly number[] = [53, 5353];

/** Whether RS uses a port of its host. */
export function isRsPort(protocol: 'tcp' | 'udp', port: number): boolean {
  if (protocol === 'udp') return udpPorts.includes(port);
  return tcpPorts.some((range) =>
    typeof range === 'number' ? port === range : port >= range[0] && port <= range[1],
  );
}

/**
 * TCP ports by which nodes talk to each other, beside the REST API: one of each group of the vendor's table, and the ends of the ranges that firewalls name. That nobody
 * listens on one yet is no fault of the path; that nobody answers at all is.
 */
export const nodePorts: readonly number[] = [3333, 3349, 8001, 9080, 20_000, 29_999, 36_379];
