import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type RescueReport, rescue, rescueExitStatus } from '../../../src/protocol/renumbering/rescue.ts';
import { type RescueFacts, subjectOf } from '../../../src/protocol/renumbering/rescue-facts.ts';
import { backStepsFor, type ForwardStep, forwardSteps } from '../../../src/protocol/renumbering/steps.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';
import {
  agentSays,
  armed,
  backTo,
  disabledUnit,
  eth0,
  facts,
  failedUnit,
  filesAre,
  forwardTo,
  journal,
  newAddress,
  oldAddress,
  stopped,
  table,
} from '../../support/renumbering/rescue.ts';
import { sampleOf } from '../../support/sampling.ts';
import { enabledUnit } from '../../support/unit-record.ts';

/** What is typed, in short: `n1` before what belongs on another node. */
function typed({ commands }: RescueReport): string[] {
  return commands.map(({ where, command }) => `${where === 'here' ? '' : 'n1: '}${command}`);
}

const rladmin = '/opt/redislabs/bin/rladmin';
const row = `n1: ${rladmin} status nodes | grep -w node:2`;
const untilOk = `n1: timeout 600 sh -c 'until ${rladmin} status nodes | grep -w node:2 | grep -w OK; do sleep 5; done'`;
const untilDown = `n1: timeout 180 sh -c 'until ${rladmin} status nodes | grep -w node:2 | grep -w DOWN; do sleep 2; done'`;
const unit = 'rlec_supervisor.service';
const untilAddress = (wanted: string, other: string): string =>
  `timeout 30 sh -c 'until ip -o address show to ${wanted} | grep -qv -e tentative -e dadfailed && ! ip -o address show to ${other} | grep -q .; do sleep 1; done'`;
const takeUp = ['networkctl reload', 'networkctl reconfigure eth0'];
const setAside = 'mv /var/lib/rlnet/0123456789ab.ndjson /var/lib/rlnet/0123456789ab.ndjson.by-hand';
const deadManFiles = ['script', 'word', 'taken-over', 'finished', 'room'].map(
  (name) => `/var/lib/rlnet/dead-man/${name}`,
);
const disarm = `rm -f -- ${deadManFiles.join(' ')}`;
const holdOff = 'systemctl stop rlnet-dead-man.timer rlnet-dead-man.service';
const arping = (address: string): string => `arping -D -q -c 3 -w 5 -I eth0 ${address}`;
const release = "n1: rlnet lock release --reason '0123456789ab was ended by hand' --host-is-off";
const resume = 'rlnet renumber resume 0123456789ab';

/** Where the address is right, and RS was never told another one. */
const bringUp = [
  holdOff,
  row,
  `systemctl enable ${unit}`,
  `systemctl start ${unit}`,
  untilOk,
  disarm,
  setAside,
  release,
];

interface Case {
  title: string;
  facts: Partial<RescueFacts>;
  state: RescueReport['state'];
  types: string[];
  status?: number;
}

const cases: Case[] = [
  {
    title: 'no renumbering at all',
    facts: {},
    state: 'nothing',
    types: [],
    status: 0,
  },
  {
    title: 'a dead man that was left behind',
    facts: { deadMan: armed() },
    state: 'left_over',
    types: [disarm],
  },
  {
    title: 'the agent at work',
    facts: { subject: journal(forwardTo('demote')), agent: agentSays({ is: 'open' }) },
    state: 'agent_at_work',
    types: [],
    status: 32,
  },
  {
    title: 'the dead man at work',
    facts: {
      subject: journal(forwardTo('restart')),
      deadMan: armed({ takenOver: 'old', service: { value: 'running' } }),
      unit: { value: disabledUnit },
    },
    state: 'dead_man_at_work',
    types: [],
    status: 32,
  },
  {
    title: 'the agent gone after the disable: RS was never told',
    facts: {
      subject: journal(forwardTo('restart')),
      deadMan: armed(),
      unit: { value: disabledUnit },
    },
    state: 'interrupted',
    types: bringUp,
  },
  {
    title:
      'the agent gone in the middle of the change: the kernel has the new address for a time, the files the old one',
    facts: {
      subject: journal(forwardTo('readdress')),
      deadMan: armed(),
      unit: { value: disabledUnit },
      interfaces: { value: [eth0([newAddress])] },
      standing: { value: { kind: 'swap' } },
    },
    state: 'interrupted',
    types: [
      holdOff,
      row,
      'sh /run/rlnet/address/take-back.sh',
      untilAddress(oldAddress, newAddress),
      `systemctl enable ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      disarm,
      setAside,
      release,
    ],
  },
  {
    title: 'stopped on the way back, as RS does not start at the old address, with an agent that lives',
    facts: {
      subject: journal(stopped(backTo(forwardTo('start'), 'start'))),
      agent: agentSays({ is: 'stopped' }),
      unit: { value: failedUnit },
      deadMan: armed(),
    },
    state: 'stopped',
    types: [
      holdOff,
      row,
      `journalctl -b -u ${unit} -n 30 --no-pager`,
      `systemctl reset-failed ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      resume,
    ],
  },
  {
    title: 'rolled back but for the registration: the host has the old address, its files and RS the new one',
    facts: {
      subject: journal(stopped(backTo(forwardTo('start'), 'restore_registration'))),
      rsAddress: newAddress,
      agent: agentSays({ is: 'stopped' }),
      unit: { value: disabledUnit },
      backup: filesAre('after'),
    },
    state: 'stopped',
    types: [
      untilDown,
      `n1: ${rladmin} node 2 addr set ${oldAddress}`,
      row,
      'sh /var/lib/rlnet/network/0123456789ab/restore.sh',
      `ip address flush dev eth0 to ${oldAddress}`,
      ...takeUp,
      untilAddress(oldAddress, newAddress),
      `systemctl enable ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      resume,
    ],
  },
  {
    title: 'rolled back but for the files',
    facts: {
      subject: journal(stopped(backTo(forwardTo('enable'), 'restore_files'))),
      agent: agentSays({ is: 'stopped' }),
      unit: { value: disabledUnit },
      backup: filesAre('after'),
      deadMan: armed(),
    },
    state: 'stopped',
    types: [
      holdOff,
      row,
      'sh /var/lib/rlnet/network/0123456789ab/restore.sh',
      `ip address flush dev eth0 to ${oldAddress}`,
      ...takeUp,
      untilAddress(oldAddress, newAddress),
      `systemctl enable ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      resume,
    ],
  },
  {
    title: 'stopped on the way forward, the lock freed by somebody else after the registration',
    facts: {
      subject: journal(stopped(forwardTo('external'))),
      lock: { value: { highestEpoch: 7, closed: { n2: 7 } } },
      agent: agentSays(undefined),
      interfaces: { value: [eth0([newAddress])] },
      backup: filesAre('after'),
      unit: { value: disabledUnit },
      deadMan: armed({ word: 'new' }),
    },
    state: 'stopped',
    types: [
      holdOff,
      row,
      `systemctl enable ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      disarm,
      setAside,
      'systemctl restart rlnet',
    ],
  },
  {
    title: 'taken over by the word old, and done',
    facts: {
      subject: journal(forwardTo('readdress')),
      nodes: table(oldAddress),
      deadMan: armed({ takenOver: 'old', finished: true }),
    },
    state: 'taken_over',
    types: [untilOk, disarm, setAside, release],
  },
  {
    title: 'taken over by the word old, and RS does not start',
    facts: {
      subject: journal(forwardTo('readdress')),
      unit: { value: failedUnit },
      deadMan: armed({ takenOver: 'old', service: { value: 'waiting' } }),
    },
    state: 'taken_over',
    types: [
      holdOff,
      row,
      `journalctl -b -u ${unit} -n 30 --no-pager`,
      `systemctl reset-failed ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      disarm,
      setAside,
      release,
    ],
  },
  {
    title: 'taken over by the word new, with an agent that stopped after it',
    facts: {
      subject: journal(stopped(forwardTo('start'))),
      nodes: table(newAddress),
      interfaces: { value: [eth0([newAddress])] },
      backup: filesAre('after'),
      deadMan: armed({ word: 'new', takenOver: 'new', finished: true }),
    },
    state: 'taken_over',
    types: [untilOk, disarm, setAside, release],
  },
  {
    title: 'taken over by the word both: RS runs and has the new address, so the old one goes',
    facts: {
      subject: journal(forwardTo('register')),
      nodes: table(newAddress),
      interfaces: { value: [eth0([oldAddress, newAddress])] },
      backup: filesAre('after'),
      deadMan: armed({ word: 'both', takenOver: 'both', finished: true }),
    },
    state: 'taken_over',
    types: [...takeUp, untilAddress(newAddress, oldAddress), untilOk, disarm, setAside, release],
  },
  {
    title: 'taken over by the word both: RS has the old address, and the files the new one',
    facts: {
      subject: journal(forwardTo('register')),
      rsAddress: oldAddress,
      interfaces: { value: [eth0([oldAddress, newAddress])] },
      backup: filesAre('after'),
      deadMan: armed({ word: 'both', takenOver: 'both', finished: true }),
    },
    state: 'taken_over',
    types: [
      'sh /var/lib/rlnet/network/0123456789ab/restore.sh',
      `ip address flush dev eth0 to ${oldAddress}`,
      ...takeUp,
      untilAddress(oldAddress, newAddress),
      untilOk,
      disarm,
      setAside,
      release,
    ],
  },
  {
    title:
      "a damaged journal, the dead man's word old, and nothing but the unit to mend; the agent lives and is stuck",
    facts: {
      subject: journal(forwardTo('disable'), 'line 12: its checksum does not fit'),
      agent: agentSays(undefined),
      unit: { value: disabledUnit },
      deadMan: armed(),
    },
    state: 'damaged',
    types: [
      holdOff,
      row,
      `systemctl enable ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      disarm,
      setAside,
      'systemctl restart rlnet',
      "rlnet lock release --reason '0123456789ab was ended by hand'",
    ],
  },
  {
    title: "a damaged journal, the dead man's word new, and the host between the two",
    facts: {
      subject: journal(forwardTo('claim'), 'line 3: it is not JSON'),
      unit: { value: disabledUnit },
      interfaces: { value: [eth0([])] },
      deadMan: armed({ word: 'new' }),
    },
    state: 'damaged',
    types: [
      holdOff,
      'sleep 157',
      row,
      arping(newAddress),
      'sh /var/lib/rlnet/network/0123456789ab/persist.sh',
      ...takeUp,
      untilAddress(newAddress, oldAddress),
      `systemctl enable ${unit}`,
      `systemctl start ${unit}`,
      untilOk,
      disarm,
      setAside,
      release,
    ],
  },
  {
    title: 'a journal damaged before its second claim, the first one withdrawn',
    facts: {
      subject: journal(forwardTo('claim'), 'line 4: it is not JSON'),
      lock: { value: { highestEpoch: 8, closed: { n2: 7 } } },
      unit: { value: disabledUnit },
      deadMan: armed(),
    },
    state: 'damaged',
    types: bringUp,
  },
  {
    title: 'a record of the lock that is gone, in the middle of the change',
    facts: {
      subject: journal(forwardTo('restart')),
      lock: { value: undefined },
      unit: { value: disabledUnit },
      deadMan: armed(),
    },
    state: 'interrupted',
    types: bringUp,
  },
  {
    title: "a journal whose first line is damaged, with the dead man's script and word",
    facts: {
      subject: journal([], 'line 1: it is not JSON'),
      unit: { value: disabledUnit },
      deadMan: armed(),
    },
    state: 'damaged',
    types: [
      holdOff,
      'sh /var/lib/rlnet/dead-man/script',
      disarm,
      setAside,
      'systemctl restart rlnet',
      "rlnet lock release --reason 'ended by hand after a damaged journal'",
    ],
  },
  {
    title: 'one that stopped, whose lock a person has freed and whose node is well',
    facts: {
      subject: journal(stopped(backTo(forwardTo('start'), 'rejoin'))),
      lock: { value: { highestEpoch: 7, closed: { n2: 7 } } },
      nodes: table(oldAddress),
    },
    state: 'nothing',
    types: [],
    status: 0,
  },
];

describe('what a person has to type', () => {
  test.for(cases)('$title', ({ facts: change, state, types, status = 33 }) => {
    const report = rescue(facts(change));
    expect(typed(report)).toEqual(types);
    expect(report).toMatchObject({ state, missing: [] });
    expect(rescueExitStatus(report)).toBe(status);
  });

  test.for<[string, string[], Partial<RescueFacts>?]>([
    [
      'NetworkManager',
      ['nmcli connection load /etc/systemd/network/eth0.network', 'nmcli device reapply eth0'],
    ],
    ['netplan', ['netplan generate', ...takeUp]],
    [
      'netplan',
      ['netplan generate', 'nmcli connection reload', 'nmcli device reapply eth0'],
      { renderers: { value: { networkd: false, NetworkManager: true } } },
    ],
  ])('has the way in which %s takes its files up', ([owner, commands, change]) => {
    const report = rescue(ofOwner(owner, change));
    const from = typed(report).findIndex((command) => command.endsWith('restore.sh')) + 2;
    expect(typed(report).slice(from, from + commands.length)).toEqual(commands);
  });

  test.for(['ifupdown', 'netplan'])(
    'has a reboot take up the files of %s where no command does for sure',
    (owner) => {
      const types = typed(
        rescue(ofOwner(owner, { renderers: { value: { networkd: true, NetworkManager: true } } })),
      );
      expect(types.slice(-7)).toEqual([
        'sh /var/lib/rlnet/network/0123456789ab/restore.sh',
        `systemctl enable ${unit}`,
        disarm,
        setAside,
        'systemctl reboot',
        untilOk,
        release,
      ]);
    },
  );

  test('asks the hook for its phases, with the request as one word', () => {
    const report = rescue(
      ofOwner('hook', {
        backup: { value: { is: 'whole', files: [] } },
        paths: { ...facts().paths, hook: '/etc/rlnet/network-hook' },
      }),
    );
    const asked = typed(report).filter((command) => command.includes('network-hook'));
    expect(asked).toHaveLength(2);
    expect(asked[0]).toMatch(
      /^printf '%s\\n' '\{"version":1,"phase":"restore","link":.*\}' \| \/etc\/rlnet\/network-hook$/,
    );
    expect(asked[1]).toContain(`"phase":"activate"`);
    expect(asked[1]).toContain(`"to":{"address":"${oldAddress}"`);
  });

  test('says in words what a person changes where the owner is manual, and waits for it', () => {
    const report = rescue(ofOwner('manual', { backup: { value: { is: 'whole', files: [] } } }));
    const wait = report.commands.find(({ command }) => command === untilAddress(oldAddress, newAddress));
    expect(wait?.why).toContain(`Let ${oldAddress}/24 be on eth0`);
  });

  test('puts links back that somebody had made by hand, beside what enable makes', () => {
    const [link] = enabledUnit().links;
    const own = { path: "/etc/systemd/system/it's.wants/x", target: '../x', dependant: "it's" };
    const plan = examplePlan({ unit: enabledUnit({ links: link === undefined ? [] : [link, own] }) });
    const types = typed(
      rescue(facts({ subject: journal(forwardTo('restart', plan)), unit: { value: disabledUnit } })),
    );
    expect(types).toContain("ln -sfn -- ../x '/etc/systemd/system/it'\\''s.wants/x'");
    expect(types).toContain('systemctl daemon-reload');
  });

  test('stops RS before its address changes and before another node tells it another one', () => {
    const types = typed(
      rescue(
        facts({
          subject: journal(stopped(backTo(forwardTo('rejoin'), 'stop'))),
          agent: agentSays({ is: 'stopped' }),
          nodes: table(newAddress),
          interfaces: { value: [eth0([newAddress])] },
          backup: filesAre('after'),
        }),
      ),
    );
    expect(types.slice(0, 3)).toEqual([
      `systemctl stop ${unit}`,
      untilDown,
      `n1: ${rladmin} node 2 addr set ${oldAddress}`,
    ]);
    expect(types.indexOf(`systemctl start ${unit}`)).toBeGreaterThan(types.indexOf(arping(oldAddress)));
  });

  test('waits out a registration that may still land, and has RS asked again after it', () => {
    const report = rescue(
      facts({
        subject: journal(forwardTo('register')),
        now: { bootId: 'b', seconds: 150 },
        nodes: table(oldAddress),
        unit: { value: disabledUnit },
        deadMan: armed({ word: 'both' }),
      }),
    );
    // (120 s for DOWN + 30 s for rladmin) × 1.01 + 5 s, of which 50 are over.
    expect(typed(report).slice(0, 3)).toEqual([holdOff, 'sleep 107', row]);
  });

  test('stops an agent that runs and does not answer', () => {
    const agent = { ...facts().agent, unit: { value: enabledUnit({ unit: 'rlnet.service' }) } };
    const report = rescue(facts({ subject: journal(forwardTo('restart')), agent }));
    expect(typed(report)[0]).toBe('systemctl stop rlnet');
  });

  test('sets external addresses where the node table shows others, or is not there to show them', () => {
    const external = { from: [oldAddress], to: [newAddress] };
    const plan = examplePlan({ external });
    const subject = journal(stopped(backTo(forwardTo('enable', plan), 'restore_registration')));
    const report = rescue(facts({ subject, rsAddress: newAddress, unit: { value: disabledUnit } }));
    expect(typed(report)).toContain(`n1: ${rladmin} node 2 external_addr set ${oldAddress}`);
    const never = rescue(
      facts({ subject: journal(forwardTo('restart', plan)), unit: { value: disabledUnit } }),
    );
    expect(typed(never).join()).not.toContain('external_addr');
  });
});

/** Nothing is known but by what it says; it turned back before the registration, with the new address in kernel and files. */
function ofOwner(owner: string, change: Partial<RescueFacts> = {}): RescueFacts {
  return facts({
    subject: journal(stopped(backTo(forwardTo('readdress', examplePlan({ owner })), 'restore_files'))),
    unit: { value: disabledUnit },
    backup: filesAre('after'),
    deadMan: armed({ timer: { value: { actsIn: undefined, enabled: true } } }),
    ...change,
  });
}

describe('what is not known', () => {
  test.for<[string, Partial<RescueFacts>, RegExp, RegExp]>([
    [
      'which address RS has, when a registration is open and RS does not answer',
      { subject: journal(forwardTo('register')) },
      /Which address RS has for node 2/,
      /rlnet rescue --rs-address ADDRESS/,
    ],
    [
      'which address RS has, when a journal is damaged and there is no word',
      { subject: journal(forwardTo('claim'), 'line 3') },
      /Which address RS has for node 2/,
      /On another node: .*rladmin status nodes/,
    ],
    [
      'what to do where RS has an address that is neither',
      {
        subject: journal(forwardTo('register')),
        nodes: table(eth0([oldAddress]).addresses[0]?.address ?? oldAddress),
        rsAddress: table(oldAddress).value.nodes[0]?.address,
      },
      /RS has 192\.0\.2\.1 for node 2, which is neither/,
      /addr set ADDRESS/,
    ],
    [
      'the kernel',
      { subject: journal(forwardTo('restart')), interfaces: { unknown: 'ip failed' } },
      /the addresses of this host \(ip failed\)/,
      /^ip -j -d address$/,
    ],
    [
      'where the card is',
      { subject: journal(forwardTo('readdress')), interfaces: { value: [] } },
      /Where the network card is/,
      /ip link/,
    ],
    [
      'what the files are to be, where somebody has edited them',
      {
        subject: journal(forwardTo('readdress')),
        interfaces: { value: [eth0([newAddress])] },
        backup: filesAre('other'),
      },
      /somebody else has edited them/,
      /Put 192\.0\.2\.2 into them by hand/,
    ],
    [
      'which hook it was',
      {
        subject: journal(forwardTo('readdress', examplePlan({ owner: 'hook' }))),
        interfaces: { value: [eth0([newAddress])] },
        backup: { value: { is: 'whole', files: [] } },
        configuration: '/etc/rlnet/agent.yaml: it cannot be read (ENOENT)',
      },
      /Which program changes addresses/,
      /network\.hook/,
    ],
    [
      'what was planned, where neither journal nor dead man say it',
      { subject: journal([], 'line 1') },
      /What was to be changed/,
      /manifest\.json/,
    ],
  ])(
    'is said to be missing, with how to find it out, and nothing is to be typed: %s',
    ([, change, what, how]) => {
      const report = rescue(facts(change));
      expect(report.commands).toEqual([]);
      expect(report.missing[0]?.what).toMatch(what);
      expect(report.missing[0]?.how).toMatch(how);
      expect(rescueExitStatus(report)).toBe(34);
    },
  );

  test.for([table(newAddress, 'ok', 'down'), table(newAddress, 'down'), table(newAddress, 'unknown')])(
    'is not taken from a node table of this host alone, nor from one that does not call the node OK',
    (nodes) => {
      const report = rescue(facts({ subject: journal(forwardTo('register')), nodes }));
      expect(report.missing[0]?.what).toMatch(/Which address RS has/);
    },
  );
});

describe('the report', () => {
  test('says what an abort would be where the agent is at work, and that it is too late once it is on its way back', () => {
    const agent = agentSays({ is: 'open' });
    const forward = rescue(facts({ subject: journal(forwardTo('demote')), agent }));
    expect(forward.notes.join()).toContain('rlnet renumber abort 0123456789ab --reason TEXT');
    const back = rescue(facts({ subject: journal(backTo(forwardTo('demote'), 'release')), agent }));
    expect(back.notes.join()).not.toContain('rlnet renumber abort');
  });

  test('says of an open renumbering without an agent that starting it is enough', () => {
    const report = rescue(facts({ subject: journal(forwardTo('restart')), unit: { value: disabledUnit } }));
    expect(report.notes.join()).toContain('systemctl start rlnet');
  });

  test('says when the dead man acts and by which word', () => {
    const { deadMan } = rescue(facts({ subject: journal(forwardTo('restart')), deadMan: armed() }));
    expect(deadMan).toMatch(/^It acts in 120 s \(00:02:10 UTC\) .* the old address/);
  });

  test('says which defaults were taken where the configuration is broken', () => {
    const configuration = '/etc/rlnet/agent.yaml: There is no setting x.';
    const report = rescue(facts({ subject: journal(forwardTo('restart')), configuration }));
    expect(report.notes[0]).toContain(configuration);
  });

  test('names the host that has the lock, where this host has nothing to rescue', () => {
    expect(rescue(facts()).notes.join()).toContain('n2 has the cluster');
  });
});

describe('the journal that it is about', () => {
  const at = (planId: string, wall: number, records: ReturnType<typeof forwardTo>) => ({
    ...journal(records.map((record) => ({ ...record, wall }))),
    planId,
  });

  test('is a damaged or open one before one that stopped, and none where the newest came to its end', () => {
    const old = at('a', 1, stopped(forwardTo('demote')));
    const open = at('b', 2, forwardTo('claim'));
    const ended = at('c', 3, [
      ...forwardTo('claim'),
      { type: 'closed', wall: 3, at: { bootId: 'b', seconds: 1 }, outcome: 'rolled_back' },
    ]);
    expect(subjectOf([old, open, ended])?.planId).toBe('b');
    expect(subjectOf([old])?.planId).toBe('a');
    expect(subjectOf([old, ended])).toBeUndefined();
    expect(subjectOf([ended, { ...old, damage: 'line 2' }])?.planId).toBe('a');
    expect(subjectOf([journal([])])).toBeUndefined();
  });
});

test('from wherever it stands, whatever was read: commands are whole shell, in an order that keeps RS off a changing address, or none', () => {
  const every = [
    ...forwardSteps.flatMap((step) => [forwardTo(step, examplePlan(), false), forwardTo(step)]),
    ...forwardSteps.slice(0, -1).flatMap((step) => {
      const way = forwardTo(step);
      const intended = new Set<ForwardStep>(forwardSteps.slice(0, forwardSteps.indexOf(step) + 1));
      return backStepsFor(intended).map((back) => stopped(backTo(way, back)));
    }),
  ].flatMap((records) => [journal(records), journal(records, 'line 9')]);
  const journals = sampleOf(every, 40);
  const kernels = [[oldAddress], [newAddress], [oldAddress, newAddress], []];
  const all = new Set<string>();
  const wrong: string[] = [];
  let withCommands = 0;
  for (const subject of journals)
    for (const addresses of kernels)
      for (const state of ['before', 'after'] as const)
        for (const record of [enabledUnit(), disabledUnit, failedUnit])
          for (const rsAddress of [undefined, oldAddress, newAddress])
            for (const deadMan of [armed(), armed({ word: 'both' }), facts().deadMan]) {
              const report = rescue(
                facts({
                  subject,
                  interfaces: { value: [eth0(addresses)] },
                  backup: filesAre(state),
                  unit: { value: record },
                  rsAddress,
                  deadMan,
                }),
              );
              const types = typed(report);
              for (const command of types) all.add(command.replace(/^n1: /, ''));
              const check = (holds: boolean, what: string): void => {
                if (!holds) wrong.push(`${what}: ${JSON.stringify({ addresses, state, rsAddress, types })}`);
              };
              check(
                report.missing.length > 0 !== types.length > 0,
                'either something is missing or there are commands',
              );
              if (types.length === 0) continue;
              withCommands += 1;
              const set = types.findIndex((each) => each.includes(' addr set '));
              const start = types.indexOf(`systemctl start ${unit}`);
              const takenUp = types.findIndex((each) => each.startsWith('networkctl'));
              const wait = types.find((each) => each.startsWith('timeout 30'));
              const ends = /show to (\S+) /.exec(wait ?? '')?.[1] ?? addresses.join();
              check(set < 0 || types[set]?.startsWith('n1: ') === true, 'another node tells RS');
              check(
                rsAddress === undefined || set >= 0 || ends === rsAddress,
                'the host gets the address that RS has',
              );
              check(
                set < 0 || types[set]?.endsWith(` ${ends}`) === true,
                'or RS is told the one that the host gets',
              );
              check(start >= 0 || record.activeState === 'active', 'RS runs at the end');
              check(start < 0 || start > Math.max(set, takenUp), 'and starts when its address is there');
              check(
                record.activeState !== 'active' || start < 0 || types.includes(`systemctl stop ${unit}`),
                'what runs is stopped before it is started',
              );
              check(
                record.unitFileState !== 'disabled' || types.includes(`systemctl enable ${unit}`),
                'RS is enabled at the end',
              );
            }
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(withCommands).toBeGreaterThan(500);
  execFileSync('sh', ['-n'], { input: [...all].join('\n'), stdio: 'pipe' });
}, 60_000);
