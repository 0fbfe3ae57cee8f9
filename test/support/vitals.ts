import type { Vitals } from '../../src/host/ports/vitals.ts';

/** Of a host that is in order. */
export const vitalsInOrder: Vitals = {
  localPorts: { first: 32_768, last: 60_999 },
  reservedPorts: [],
  ipv6: 'enabled',
  stubResolver: false,
  rebootRequired: false,
  room: [{ path: '/var/lib/rlnet', free: 2 ** 30, size: 2 ** 31 }],
};
