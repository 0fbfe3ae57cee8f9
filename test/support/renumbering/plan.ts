import * as v from 'valibot';
import { defaultBounds } from '../../../src/protocol/renumbering/bounds.ts';
import { type Plan, planSchema } from '../../../src/protocol/renumbering/plan.ts';
import { enabledUnit } from '../unit-record.ts';

/** Node 2 of three moves within its subnet. */
export function examplePlan(change: Partial<Record<keyof Plan, unknown>> = {}): Plan {
  return v.parse(planSchema, {
    id: '0123456789ab',
    version: '0.1.0',
    madeAt: 0,
    cluster: 'demo',
    host: 'n2',
    nodeUid: 2,
    family: 'ipv4',
    kind: 'same_subnet',
    change: {
      link: { name: 'eth0', mac: '02:00:00:00:00:02' },
      from: { address: '192.0.2.2', prefixLength: 24 },
      to: { address: '192.0.2.52', prefixLength: 24 },
    },
    members: [1, 2, 3].map((uid) => ({ uid, host: `n${uid}`, address: `192.0.2.${uid}` })),
    unit: enabledUnit(),
    owner: 'systemd-networkd',
    options: { reboot: true, cutOver: false, proveByReboot: false, acceptOutage: false, acceptShards: [] },
    bounds: defaultBounds,
    effects: [],
    references: [],
    files: [],
    estimateSeconds: 120,
    ...change,
  });
}
