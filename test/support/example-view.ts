import * as v from 'valibot';
import { type ClusterView, clusterViewSchema } from '../../src/protocol/state.ts';

/**
 * A cluster of three nodes as node 1 sees it, made anew at each call, to be spoiled by a test: node 2 is linked, node 3 is
 * reached by RS and by no agent.
 */
export function exampleView(): ClusterView {
  const reachable = { status: 'reachable', since: 40_000 };
  const state = (uid: number) => ({
    host: `n${uid}`,
    version: '0.1.0',
    mode: 'manage',
    revision: 3,
    nodeUid: uid,
    internalAddress: `fd77::2${uid}`,
    internalFamily: 'ipv6',
    addresses: {
      listed: [
        { interface: 'eth0', address: `fd77::2${uid}`, prefixLength: 64, usable: true },
        { interface: 'eth1', address: `192.0.2.2${uid}`, prefixLength: 24, usable: false },
      ],
      more: 0,
    },
    unit: {
      unit: 'rlec_supervisor.service',
      loadState: 'loaded',
      activeState: 'active',
      subState: 'running',
      unitFileState: 'enabled',
      result: 'success',
    },
    hostsFile: { localhostIpv6: 'present', evidence: 'line 2' },
    findings: [],
    knows: [],
  });
  const node = (uid: number, role: string) => ({
    uid,
    isLocal: uid === 1,
    role,
    address: `fd77::2${uid}`,
    externalAddresses: [`192.0.2.2${uid}`],
    hostname: `host${uid}.example`,
    version: '7.4.2-54',
    status: 'ok',
    statusText: 'OK',
  });
  return v.parse(clusterViewSchema, {
    cluster: 'demo',
    seenFrom: 'n1',
    at: 100_000,
    internalFamily: 'ipv6',
    rs: { nodes: [node(1, 'master'), node(2, 'slave'), node(3, 'slave')], unread: [], at: 99_000 },
    hosts: [
      { host: 'n1', link: { status: 'self' }, state: state(1) },
      {
        host: 'n2',
        link: { status: 'connected', since: 40_000, address: 'fd77::22', reachability: reachable },
        state: state(2),
      },
    ],
    unreached: [{ address: 'fd77::23', since: 30_000, reason: 'connection refused' }],
  });
}
