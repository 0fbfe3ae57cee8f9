import type { Measured } from '../../src/agent/metrics.ts';
import { exampleView } from './example-view.ts';
import { inOrder, other } from './facts.ts';

/** An agent with one of each that can be measured. */
export function measured(): Measured {
  const [state] = exampleView().hosts.flatMap((host) => host.state ?? []);
  if (state === undefined) throw new RangeError('no state');
  const finding = {
    code: 'PORT_53_TAKEN',
    title: '',
    severity: 'warning',
    outcome: 'fail',
    evidence: '',
    remedy: '',
    since: 1,
  } as const;
  const reachability = { status: 'reachable', since: 0 } as const;
  return {
    cluster: 'demo',
    state: { ...state, findings: [finding] },
    facts: inOrder,
    peers: [
      {
        host: 'n3',
        linked: true,
        since: 0,
        address: other,
        internalAddress: other,
        machineId: 'm',
        nodeUid: 3,
        noLink: undefined,
        reachability,
        roundTripMs: 0.4,
        loss: 0,
        state,
      },
    ],
    refusals: { twin: 2 },
    startedAt: 1_000,
  };
}
