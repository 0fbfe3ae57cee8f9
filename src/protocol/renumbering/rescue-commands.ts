import { type Address, familyOf } from '../address.ts';
import type { AddressChange } from '../address-change.ts';
import { manualInstructions } from '../manual-change.ts';
import { reversed } from '../network-owner.ts';
import type { Plan } from './plan.ts';
import type { Aim } from './rescue-aim.ts';
import type { BackupFact, JournalFact, RescueFacts, RescuePaths } from './rescue-facts.ts';

/** One command, as it is typed to a shell as root. It ends with exit status 0 when it has done, or shown, what it is for. */
export interface Command {
  /** `other_node`: on any other node of the cluster, where RS is OK. */
  where: 'here' | 'other_node';
  command: string;
  why: string;
}

/** What is not known, and how a person finds it out. */
export interface Missing {
  what: string;
  how: string;
}

/** In seconds: an owner takes an address up in some; RS calls a silent node DOWN after half a minute, and takes minutes to come up. */
const waits = { address: 30, down: 180, ok: 600 } as const;

const deadManUnits = 'rlnet-dead-man.timer rlnet-dead-man.service';

/** The commands that bring the node up at the address that is wanted, in order. */
export function commandsFor(
  facts: RescueFacts,
  subject: JournalFact,
  aim: Aim,
): { commands: Command[]; missing: Missing[] } {
  const addressPart = addressCommands(facts, aim);
  if ('missing' in addressPart) return { commands: [], missing: addressPart.missing };
  const { commands, boots } = addressPart;
  const before = [...holdOff(facts), ...sureOfRs(facts, aim), ...tellRs(facts, aim, commands.length > 0)];
  const enable = enableCommands(facts, aim);
  const ended = endCommands(facts, subject, aim);
  if (boots) {
    // Whatever could act again at the boot goes before it.
    const after = [...wellCommands(facts, aim), ...ended.last];
    return { commands: [...before, ...commands, ...enable, ...ended.quiet, reboot, ...after], missing: [] };
  }
  const start = startCommands(facts, aim, commands.length > 0);
  return {
    commands: [...before, ...commands, ...enable, ...start, ...ended.quiet, ...ended.last],
    missing: [],
  };
}

/** What works while a person types would undo it, or be undone. */
function holdOff({ deadMan, agent }: RescueFacts): Command[] {
  const busy =
    deadMan.armed &&
    !deadMan.finished &&
    (!('value' in deadMan.timer) ||
      deadMan.timer.value.actsIn !== undefined ||
      !('value' in deadMan.service) ||
      deadMan.service.value === 'waiting');
  const silent =
    'unknown' in agent.says &&
    'value' in agent.unit &&
    !['inactive', 'failed'].includes(agent.unit.value.activeState);
  return [
    ...(busy
      ? [
          here(
            `systemctl stop ${deadManUnits}`,
            'The dead man must not act while you do. It is armed again at the next boot.',
          ),
        ]
      : []),
    ...(silent
      ? [here('systemctl stop rlnet', 'The agent runs and does not answer: what it does is not known.')]
      : []),
  ];
}

/** RS may be told something yet, or was not asked just now. */
function sureOfRs({ paths }: RescueFacts, { plan, held, mayLandFor, wanted }: Aim): Command[] {
  const { nodeUid } = plan;
  const address = addressOf(plan, held.address);
  const sure = held.read && mayLandFor === 0;
  return [
    ...(mayLandFor > 0
      ? [
          here(
            `sleep ${mayLandFor}`,
            'Another node may still carry out what it was asked to tell RS; after that it does not any more.',
          ),
        ]
      : []),
    ...(sure || wanted !== held.address
      ? []
      : [
          there(
            rowOf(paths, nodeUid),
            `It must show ${address} for node ${nodeUid}. Where it shows another address, stop here and run: rlnet rescue --rs-address ADDRESS`,
          ),
        ]),
  ];
}

/** RS takes another address only of a node that is DOWN, and only from another node. */
function tellRs({ paths, unit }: RescueFacts, aim: Aim, changesAddress: boolean): Command[] {
  const { plan, tell, host, wanted, external } = aim;
  const { nodeUid } = plan;
  const address = addressOf(plan, wanted);
  const active = 'value' in unit ? unit.value.activeState : 'unknown';
  const runs = active !== 'inactive' && active !== 'failed';
  const stop =
    runs && (tell || (changesAddress && !host.wantedBound))
      ? [
          here(
            `systemctl stop ${plan.unit.unit}`,
            `RS must not run while ${tell ? 'it is told another address' : 'its address changes'}.`,
          ),
        ]
      : [];
  if (!tell) return stop;
  return [
    ...stop,
    there(
      until(waits.down, `${word(paths.rladmin)} status nodes | grep -w node:${nodeUid} | grep -w DOWN`),
      `RS takes another address for a node only while it is DOWN; it calls a silent node so after about half a minute. After ${waits.down} s this gives up.`,
    ),
    there(
      `${word(paths.rladmin)} node ${nodeUid} addr set ${address}`,
      `RS holds ${addressOf(plan, aim.held.address)}, and the host is to have ${address}. It answers: Updated successfully.`,
    ),
    there(rowOf(paths, nodeUid), `It must show ${address} now.`),
    ...(external === undefined ? [] : [setExternal(paths, nodeUid, external)]),
  ];
}

function setExternal({ rladmin }: RescuePaths, nodeUid: number, external: readonly Address[]): Command {
  return there(
    `${word(rladmin)} node ${nodeUid} external_addr set ${external.join(' ')}`,
    'The internal address is an external one too: clients are sent to these.',
  );
}

/** The host has the wanted address alone, now and after a boot. @returns `boots`: a reboot has to end it */
function addressCommands(
  facts: RescueFacts,
  { plan, wanted, host, begun }: Aim,
): { commands: Command[]; boots: boolean } | { missing: Missing[] } {
  const { paths, backup, standing } = facts;
  const { change, owner } = plan;
  if (plan.kind === 'already_bound')
    return host.wantedBound ? { commands: [], boots: false } : { missing: [notBound(plan, wanted)] };
  const unasked = host.files === 'not_ours' && begun;
  if (host.kernelRight && ['right', 'not_ours', 'edited'].includes(host.files) && !unasked)
    return { commands: [], boots: false };
  const { link } = host;
  if (link === undefined) {
    const { name, mac } = change.link;
    return {
      missing: [
        {
          what: `Where the network card is that the plan is about: ${name}${mac === undefined ? '' : ` (${mac})`} is not there.`,
          how: 'ip link shows the cards that are; bring that one back, and run rlnet rescue again.',
        },
      ],
    };
  }
  const [want, other] = wanted === 'old' ? [change.from, change.to] : [change.to, change.from];
  const way = wanted === 'old' ? reversed(change) : change;
  const stands = 'value' in standing && standing.value !== undefined;
  const first: Command[] = [
    ...(stands && wanted === 'old'
      ? [
          here(
            `sh ${word(`${paths.change}/take-back.sh`)}`,
            'The change of the kernel stands for a time only: this takes it back.',
          ),
        ]
      : []),
    ...(stands && wanted === 'new'
      ? [
          here(
            "systemctl stop 'rlnet-take-back-*.timer'",
            'The change of the kernel would be taken back by this timer.',
          ),
          here(`touch ${word(`${paths.change}/kept`)}`, 'The same, for the script that the timer runs.'),
        ]
      : []),
    ...(host.wantedBound || stands || familyOf(want.address) === 'ipv6'
      ? []
      : [
          here(
            `arping -D -q -c 3 -w 5 -I ${word(link)} ${want.address}`,
            `Asks the wire whether another host has ${want.address}: exit status 0 says that nobody answered. Else find that host before you go on.`,
          ),
        ]),
  ];
  const last = here(
    until(
      waits.address,
      `ip -o address show to ${want.address} | grep -qv -e tentative -e dadfailed && ! ip -o address show to ${other.address} | grep -q .`,
      1,
    ),
    `Ends as soon as the host has ${want.address} and not ${other.address}. Where it gives up after ${waits.address} s, ip address shows why.`,
  );
  const files = filesCommand(facts, plan, wanted, host.files);
  if ('missing' in files) return files;
  // The script brings addresses, routes and rules back as they were, which the owner had made.
  if (stands && wanted === 'old' && host.files === 'right')
    return { commands: [...first, last], boots: false };
  const outOfTheWay =
    host.wantedBound && host.files === 'wrong'
      ? [
          here(
            `ip address flush dev ${word(link)} to ${want.address}`,
            'An address that is there already can make its owner fail; it comes back with the next command but one.',
          ),
        ]
      : [];
  switch (owner) {
    case 'systemd-networkd':
      return { commands: [...first, ...files, ...outOfTheWay, ...networkd(link), last], boots: false };
    case 'NetworkManager':
      return {
        commands: [...first, ...files, ...outOfTheWay, ...networkManager(link, backup), last],
        boots: false,
      };
    case 'netplan': {
      const { renderers } = facts;
      if ('unknown' in renderers)
        return {
          missing: [
            {
              what: `Which renderer netplan has (${renderers.unknown}).`,
              how: 'systemctl is-active systemd-networkd NetworkManager',
            },
          ],
        };
      const { networkd: one, NetworkManager: other_ } = renderers.value;
      const generate = here('netplan generate', 'Writes the files of the renderer anew, as a boot does.');
      // With both at work it is not known here which has the link; a boot does.
      if (one === other_) return { commands: [...first, ...files], boots: true };
      const takenUp = one ? networkd(link) : networkManager(link, undefined);
      return { commands: [...first, ...files, ...outOfTheWay, generate, ...takenUp, last], boots: false };
    }
    case 'ifupdown':
      return { commands: [...first, ...files], boots: true };
    case 'hook':
      if (paths.hook === undefined)
        return {
          missing: [
            {
              what: 'Which program changes addresses: the configuration that names it could not be read.',
              how: 'Look for network.hook in /etc/rlnet/agent.yaml, and put that file right; then run rlnet rescue again.',
            },
          ],
        };
      return {
        commands: [
          ...first,
          hook(paths.hook, wanted === 'old' ? 'restore' : 'persist', change, 'The next boot brings it.'),
          hook(paths.hook, 'activate', way, 'The host has it now.'),
          last,
        ],
        boots: false,
      };
    case 'manual':
      return {
        commands: [...first, { ...last, why: `${manualInstructions(way, []).join(' ')} ${last.why}` }],
        boots: false,
      };
    default:
      return {
        missing: [
          {
            what: `How ${owner} changes addresses.`,
            how: 'This version of rlnet does not know it; use the one that made the plan.',
          },
        ],
      };
  }
}

/** The files of the owner, by the scripts of their back-up, which need neither rlnet nor Node.js. */
function filesCommand(
  { paths, backup }: RescueFacts,
  plan: Plan,
  wanted: 'old' | 'new',
  files: Aim['host']['files'],
): Command[] | { missing: Missing[] } {
  if (files === 'right' || files === 'not_ours') return [];
  const listed = plan.files.map(({ path }) => path).join(', ');
  const want = addressOf(plan, wanted);
  if (files === 'edited' || ('value' in backup && backup.value.is === 'damaged') || files === 'unknown') {
    const why =
      'value' in backup && backup.value.is === 'damaged'
        ? `their back-up is damaged: ${backup.value.why}`
        : files === 'edited'
          ? 'somebody else has edited them since their back-up'
          : 'there is no back-up of them';
    return {
      missing: [
        {
          what: `What the files of ${plan.owner} are to be (${why}).`,
          how: `Put ${want} into them by hand: ${listed === '' ? 'the plan names none' : listed}. rlnet renumber show ${plan.id} --json has the plan with its diff; then have them taken up (docs/network-owners.md), and run rlnet rescue again.`,
        },
      ],
    };
  }
  const script = wanted === 'old' ? 'restore.sh' : 'persist.sh';
  return [
    here(
      `sh ${word(`${paths.backup}/${script}`)}`,
      wanted === 'old'
        ? 'The files of the network configuration as they were, byte for byte.'
        : 'The new address in the files of the network configuration, for the next boot.',
    ),
  ];
}

function networkd(link: string): Command[] {
  return [
    here('networkctl reload', 'systemd-networkd reads its files.'),
    here(
      `networkctl reconfigure ${word(link)}`,
      'And makes the link what they say; addresses that are not in them go.',
    ),
  ];
}

function networkManager(link: string, backup: RescueFacts['backup'] | undefined): Command[] {
  const files = backup !== undefined && 'value' in backup ? filesOf(backup.value) : [];
  return [
    ...(files.length === 0
      ? [here('nmcli connection reload', 'NetworkManager reads its files.')]
      : files.map((path) => here(`nmcli connection load ${word(path)}`, 'NetworkManager reads the file.'))),
    here(
      `nmcli device reapply ${word(link)}`,
      'And makes the link what it says; addresses that are not in it go.',
    ),
  ];
}

function filesOf(backup: BackupFact): string[] {
  return backup.is === 'whole' ? backup.files.map(({ path }) => path) : [];
}

function hook(path: string, phase: string, change: AddressChange, why: string): Command {
  const request = JSON.stringify({ version: 1, phase, ...change });
  return here(
    `printf '%s\\n' ${word(request)} | ${word(path)}`,
    `${why} Exit status 75 says: not yet, run it again.`,
  );
}

function notBound({ change }: Plan, wanted: 'old' | 'new'): Missing {
  const { address, prefixLength } = wanted === 'old' ? change.from : change.to;
  return {
    what: `Where ${address} has gone: it was on this host before, and rlnet has not changed that.`,
    how: `Put ${address}/${prefixLength} back, for good, where the owner of the network configuration has it; then run rlnet rescue again.`,
  };
}

/** RS starts with the host again, exactly as before. */
function enableCommands({ unit }: RescueFacts, { plan, host }: Aim): Command[] {
  if (host.unitEnabled) return [];
  const { links, unit: name } = plan.unit;
  const now = 'value' in unit ? unit.value.links : [];
  // `enable` makes what [Install] says; only where more than one link was there can some be of somebody's own making.
  const missing =
    links.length < 2
      ? []
      : links.filter(({ path, target }) => !now.some((link) => link.path === path && link.target === target));
  return [
    here(`systemctl enable ${word(name)}`, 'RS is to start with the host again.'),
    ...missing.map(({ path, target }) =>
      here(
        `ln -sfn -- ${word(target)} ${word(path)}`,
        'This link was there before, and enable need not make it.',
      ),
    ),
    ...(missing.length === 0 ? [] : [here('systemctl daemon-reload', 'systemd reads the links.')]),
  ];
}

/** @param changesAddress the host gets another address before */
function startCommands(facts: RescueFacts, aim: Aim, changesAddress: boolean): Command[] {
  const { unit } = facts;
  const { plan, host, wanted, tell } = aim;
  const name = word(plan.unit.unit);
  const failed = 'value' in unit && unit.value.activeState === 'failed';
  const start = failed
    ? [
        ...(changesAddress || tell
          ? []
          : [
              here(
                `journalctl -b -u ${name} -n 30 --no-pager`,
                'RS has failed at this very address: mend what stands here before you go on, else it fails again.',
              ),
            ]),
        here(`systemctl reset-failed ${name}`, 'systemd does not count the failures of before.'),
      ]
    : [];
  const stopped = tell || !host.unitActive || (changesAddress && !host.wantedBound);
  return [
    ...start,
    ...(stopped ? [here(`systemctl start ${name}`, `RS comes up at ${addressOf(plan, wanted)}.`)] : []),
    ...wellCommands(facts, aim),
  ];
}

/** Once RS is started, by a person or by a boot. */
function wellCommands({ paths }: RescueFacts, { plan, wanted, tell, external }: Aim): Command[] {
  const { nodeUid } = plan;
  return [
    there(
      until(waits.ok, `${word(paths.rladmin)} status nodes | grep -w node:${nodeUid} | grep -w OK`, 5),
      `Ends as soon as node ${nodeUid} is OK, and shows its row: with ${addressOf(plan, wanted)}. Where it gives up after ${waits.ok} s: journalctl -u ${plan.unit.unit}`,
    ),
    ...(external === undefined || tell ? [] : [setExternal(paths, nodeUid, external)]),
  ];
}

/** What ends it for rlnet: by the agent where it would come to the same, else by hand. */
function endCommands(
  { paths, agent, deadMan }: RescueFacts,
  { path, damage }: JournalFact,
  { plan, keepsLock, agentCanEnd }: Aim,
): { quiet: Command[]; last: Command[] } {
  const answers = 'value' in agent.says;
  const reason = `'${plan.id} was ended by hand'`;
  if (agentCanEnd && answers) {
    return {
      quiet: [],
      last: [
        here(
          `rlnet renumber resume ${plan.id}`,
          'The agent looks whether all of it is so, gives the lock back and takes the dead man away: rlnet renumber follow shows it.',
        ),
      ],
    };
  }
  const quiet = [
    ...(deadMan.armed ? scriptCommands(paths, 'left') : []),
    here(
      `mv ${word(path)} ${word(`${path}.by-hand`)}`,
      'No agent goes on with it any more; the record stays.',
    ),
  ];
  const restart = answers ? [here('systemctl restart rlnet', 'The agent takes notice of that.')] : [];
  const perhaps = damage === undefined ? '' : ' LOCK_NOT_HELD says that it was already.';
  const release = !keepsLock
    ? []
    : answers
      ? [
          here(
            `rlnet lock release --reason ${reason}`,
            `The cluster's lock is free for the next renumbering.${perhaps}`,
          ),
        ]
      : [
          there(
            `rlnet lock release --reason ${reason} --host-is-off`,
            `The cluster's lock is free for the next renumbering. The agent of ${plan.host} does not run, and finds nothing to go on with when it does. Refused (LOCK_HOLDER_ALIVE) until that agent has been silent for a minute: then type it again.${perhaps}`,
          ),
        ];
  return { quiet, last: [...restart, ...release] };
}

/** The dead man's script, run by hand or taken away. @param journal that it is about, where it is run */
export function scriptCommands(
  { deadMan }: Pick<RescuePaths, 'deadMan'>,
  what: 'run' | 'left',
  journal = '',
): Command[] {
  const names = ['script', 'word', 'taken-over', 'finished', 'room'].map((name) =>
    word(`${deadMan}/${name}`),
  );
  const remove = here(
    `rm -f -- ${names.join(' ')}`,
    'The dead man would act on a node that is up. Without its script no timer does anything.',
  );
  if (what === 'left') return [remove];
  return [
    here(`systemctl stop ${deadManUnits}`, 'It must not act while you do.'),
    here(
      `sh ${word(`${deadMan}/script`)}`,
      'The dead man knows the plan: it ends the agent, brings the host up at the address of its word, enables RS and starts it.',
    ),
    remove,
    here(
      `mv ${word(journal)} ${word(`${journal}.by-hand`)}`,
      'No agent goes on with it any more; the record stays.',
    ),
    here('systemctl restart rlnet', 'The agent takes notice of that.'),
    here(
      "rlnet lock release --reason 'ended by hand after a damaged journal'",
      "The cluster's lock is free for the next renumbering. LOCK_NOT_HELD says that it was already.",
    ),
  ];
}

const reboot = here(
  'systemctl reboot',
  'A boot takes the files up as a whole, and starts RS. The rest is for when this host is up again.',
);

function rowOf({ rladmin }: RescuePaths, nodeUid: number): string {
  return `${word(rladmin)} status nodes | grep -w node:${nodeUid}`;
}

/** Again until it ends well, for so many seconds. */
function until(seconds: number, command: string, every = 2): string {
  return `timeout ${seconds} sh -c ${word(`until ${command}; do sleep ${every}; done`)}`;
}

function addressOf({ change }: Plan, which: 'old' | 'new'): Address {
  return (which === 'old' ? change.from : change.to).address;
}

/** One word of a POSIX shell, quoted only where it must be. */
function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function here(command: string, why: string): Command {
  return { where: 'here', command, why };
}

function there(command: string, why: string): Command {
  return { where: 'other_node', command, why };
}
