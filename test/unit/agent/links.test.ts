import { expect, it } from 'vitest';
import { linksOf } from '../../../src/agent/cluster-view.ts';
import type { PeerView } from '../../../src/agent/mesh/peer.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { stateOf } from '../../support/member.ts';

const n2 = parseAddress('192.0.2.2');
const lost: PeerView = {
  host: 'n2',
  linked: false,
  since: 7,
  address: undefined,
  internalAddress: undefined,
  machineId: undefined,
  nodeUid: 2,
  noLink: 'no echo of 4 pings',
  reachability: { status: 'suspect', since: 7, why: 'no link: no echo of 4 pings' },
  roundTripMs: undefined,
  loss: 0.2,
  state: stateOf('n2', n2),
};
const linked: PeerView = {
  ...lost,
  linked: true,
  address: n2,
  noLink: undefined,
  reachability: { status: 'reachable', since: 7 },
  roundTripMs: 0.41234,
};
const nothing = { mtus: new Map<typeof n2, number>(), unanswered: new Set<typeof n2>() };

it('a side of a link has its state, round trip, loss and path MTU', () => {
  const { links } = linksOf('n1', [linked], { ...nothing, mtus: new Map([[n2, 1450]]) }, {});
  expect(links).toEqual([
    {
      host: 'n2',
      linked: true,
      since: 7,
      address: n2,
      reachability: { status: 'reachable', since: 7 },
      roundTripMs: 0.41,
      loss: 0.2,
      pathMtu: 1450,
    },
  ]);
});

it('a peer without a link that wants to connect and gets no answer is heard: what we send does not arrive', () => {
  const heard = { ...nothing, unanswered: new Set([n2]) };
  expect(linksOf('n1', [lost], heard, {}).links[0]?.reachability).toEqual({
    status: 'suspect',
    since: 7,
    why: 'no link: no echo of 4 pings; it wants to connect and does not get our answers: what we send does not arrive',
  });
  expect(linksOf('n1', [lost], nothing, {}).links[0]?.reachability).toEqual(lost.reachability);
  // A second connection in the making says nothing of a link that works.
  expect(linksOf('n1', [linked], heard, {}).links[0]?.reachability).toEqual(linked.reachability);
});
