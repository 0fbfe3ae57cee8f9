import * as v from 'valibot';
import { type Address, parseAddress } from '../../../src/protocol/address.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { claimSchema } from '../../../src/protocol/renumbering/lock.ts';
import type { Plan } from '../../../src/protocol/renumbering/plan.ts';
import type { JournalRecord, Reason } from '../../../src/protocol/renumbering/records.ts';
import type { JournalFact, RescueFacts } from '../../../src/protocol/renumbering/rescue-facts.ts';
import {
  type BackStep,
  backStepsFor,
  type Direction,
  type ForwardStep,
  forwardSteps,
  type Step,
} from '../../../src/protocol/renumbering/steps.ts';
import type { RsNode } from '../../../src/protocol/rs.ts';
import { enabledUnit } from '../unit-record.ts';
import { examplePlan } from './plan.ts';

export const [oldAddress, newAddress] = ['192.0.2.2', '192.0.2.52'].map(parseAddress) as [Address, Address];
const moment = { wall: 1_000, at: { bootId: 'b', seconds: 100 } };
export const reason: Reason = { code: 'UNIT_FAILED', message: 'The unit failed.', remedy: 'Mend it.' };

/** The records of a way up to a step: all before it done, it intended (unless told otherwise) and not seen done. */
export function forwardTo(
  step: (typeof forwardSteps)[number],
  plan: Plan = examplePlan(),
  intended = true,
): JournalRecord[] {
  const upTo = forwardSteps.slice(0, forwardSteps.indexOf(step));
  return [
    { type: 'open', ...moment, plan },
    ...passed('forward', upTo),
    ...(intended ? [intent('forward', step)] : []),
  ];
}

/** As `forwardTo`, then back: up to a step, which was begun. */
export function backTo(records: readonly JournalRecord[], step: BackStep): JournalRecord[] {
  const intended = new Set(
    records.flatMap((record) => (record.type === 'intent' ? [record.step as ForwardStep] : [])),
  );
  const path = backStepsFor(intended);
  return [
    ...records,
    { type: 'turned', ...moment, reason },
    ...passed('back', path.slice(0, path.indexOf(step))),
    intent('back', step),
  ];
}

export function stopped(records: readonly JournalRecord[]): JournalRecord[] {
  return [...records, { type: 'closed', ...moment, outcome: 'stopped', reason }];
}

function passed(direction: Direction, steps: readonly Step[]): JournalRecord[] {
  return steps.flatMap((step) => [
    intent(direction, step),
    { type: 'done', ...moment, direction, step, evidence: 'seen' },
  ]);
}

function intent(direction: Direction, step: Step): JournalRecord {
  return {
    type: 'intent',
    ...moment,
    direction,
    step,
    attempt: 1,
    ...(step === 'claim' ? { detail: { epoch: '7' } } : {}),
  };
}

export function journal(records: readonly JournalRecord[], damage?: string): JournalFact {
  return {
    path: '/var/lib/rlnet/0123456789ab.ndjson',
    planId: '0123456789ab',
    records,
    ...(damage === undefined ? {} : { damage }),
  };
}

/** eth0 of node 2 with these addresses, usable unless told otherwise. */
export function eth0(addresses: readonly Address[], flags: string[] = []): NetworkInterface {
  return {
    index: 2,
    name: 'eth0',
    mac: '02:00:00:00:00:02',
    mtu: 1500,
    operState: 'up',
    flags: ['UP', 'LOWER_UP'],
    addresses: addresses.map((address) => ({ address, prefixLength: 24, scope: 'global', flags })),
  };
}

/** RS's table with node 2 at an address. */
export function table(address: Address, status: RsNode['status'] = 'ok', others: RsNode['status'] = 'ok') {
  const nodes = [1, 2, 3].map(
    (uid): RsNode => ({
      uid,
      isLocal: uid === 2,
      address: uid === 2 ? address : parseAddress(`192.0.2.${uid}`),
      externalAddresses: [],
      status: uid === 2 ? status : others,
      statusText: '',
    }),
  );
  return { value: { nodes, unread: [] } };
}

export const failedUnit = enabledUnit({ activeState: 'failed', result: 'exit-code' });
export const disabledUnit = enabledUnit({ activeState: 'inactive', unitFileState: 'disabled', links: [] });

/** A host whose agent does not run and whose RS does not answer; the old address is there and in the files, the unit runs. */
export function facts(change: Partial<RescueFacts> = {}): RescueFacts {
  return {
    wall: 10_000,
    now: { bootId: 'b', seconds: 10_000 },
    paths: {
      deadMan: '/var/lib/rlnet/dead-man',
      backup: '/var/lib/rlnet/network/0123456789ab',
      change: '/run/rlnet/address',
      rladmin: '/opt/redislabs/bin/rladmin',
      hook: undefined,
    },
    configuration: undefined,
    subject: undefined,
    lock: {
      value: {
        highestEpoch: 7,
        closed: {},
        granted: v.parse(claimSchema, { epoch: 7, host: 'n2', planId: '0123456789ab', members: [1, 2, 3] }),
      },
    },
    deadMan: {
      armed: false,
      word: undefined,
      takenOver: undefined,
      finished: false,
      timer: { value: { actsIn: undefined, enabled: false } },
      service: { value: 'idle' },
    },
    agent: {
      unit: { value: { ...enabledUnit({ unit: 'rlnet.service', activeState: 'inactive' }) } },
      says: { unknown: 'no agent answers' },
    },
    interfaces: { value: [eth0([oldAddress])] },
    standing: { value: undefined },
    backup: {
      value: { is: 'whole', files: [{ path: '/etc/systemd/network/eth0.network', state: 'before' }] },
    },
    unit: { value: enabledUnit() },
    renderers: { value: { networkd: true, NetworkManager: false } },
    nodes: { unknown: 'RS does not answer' },
    rsAddress: undefined,
    ...change,
  };
}

export const filesAre = (state: 'before' | 'after' | 'other'): RescueFacts['backup'] => ({
  value: { is: 'whole', files: [{ path: '/etc/systemd/network/eth0.network', state }] },
});

/** A dead man that is armed, and acts in two minutes. */
export function armed(change: Partial<RescueFacts['deadMan']> = {}): RescueFacts['deadMan'] {
  return {
    ...facts().deadMan,
    armed: true,
    word: 'old',
    timer: { value: { actsIn: 120, enabled: true } },
    ...change,
  };
}

/** The agent answers, and says this of a renumbering. */
export function agentSays(
  standing: { is: 'open' | 'stopped'; trouble?: Reason } | undefined,
): RescueFacts['agent'] {
  const { id, nodeUid, change } = examplePlan();
  return {
    unit: { value: enabledUnit({ unit: 'rlnet.service' }) },
    says: {
      value:
        standing === undefined
          ? undefined
          : {
              planId: id,
              nodeUid,
              from: change.from,
              to: change.to,
              direction: 'forward',
              since: 0,
              ...standing,
            },
    },
  };
}
