import type { Address } from '../address.ts';
import type { HostAddress } from '../address-change.ts';
import type { DirectionWord } from './dead-man.ts';
import type { Plan } from './plan.ts';
import type { Progress } from './progress.ts';
import type { JournalRecord, Reason } from './records.ts';
import { type Aim, aimOf, heldByRs } from './rescue-aim.ts';
import { type Command, commandsFor, type Missing, scriptCommands } from './rescue-commands.ts';
import { type JournalFact, type RescueFacts, readJournal } from './rescue-facts.ts';
import { type Seen, seenOf, sentenceOfDeadMan } from './rescue-words.ts';
import type { Direction, Step } from './steps.ts';

/** How things stand with the renumbering of this host, in one word. */
export type RescueState =
  /** No renumbering of this host needs a person. */
  | 'nothing'
  /** The agent is alive and goes on by itself. */
  | 'agent_at_work'
  /** The dead man's script runs. */
  | 'dead_man_at_work'
  /** It is open, and nobody goes on with it. */
  | 'interrupted'
  /** rlnet gave up, and keeps the lock. */
  | 'stopped'
  /** The dead man has acted, or tries to. */
  | 'taken_over'
  /** Its journal cannot be read to the end. */
  | 'damaged'
  /** A renumbering is over, and something of it is still there. */
  | 'left_over';

/** The renumbering that it is about. */
export interface RescuedRenumbering {
  planId: string;
  nodeUid: number;
  from: HostAddress;
  to: HostAddress;
  /** Those three of the journal, where it is whole. `since` is wall clock, milliseconds since the epoch. */
  direction?: Direction;
  step?: Step;
  since?: number;
  /** Why it stopped, or turned back. */
  reason?: Reason;
}

export interface RescueReport {
  state: RescueState;
  /** One sentence. */
  summary: string;
  renumbering?: RescuedRenumbering;
  /** What the dead man will do, and when. */
  deadMan: string;
  seen: Seen[];
  /** To be read before anything is typed. */
  notes: string[];
  /** What has to be known first: without it there are no commands. */
  missing: Missing[];
  commands: Command[];
}

/** 0: nothing to do. 32: somebody is at work, type nothing. 33: commands to type. 34: facts are missing. docs/errors.md has them. */
export function rescueExitStatus({ state, missing }: RescueReport): number {
  if (state === 'nothing') return 0;
  if (state === 'agent_at_work' || state === 'dead_man_at_work') return 32;
  return missing.length > 0 ? 34 : 33;
}

/**
 * What a person has to do to bring this host's node back, from what was read of the host and of RS, and from nothing else. Pure: no
 * agent, no mesh. What is not known is missing, and never guessed.
 */
export function rescue(facts: RescueFacts): RescueReport {
  const { subject } = facts;
  const deadMan = sentenceOfDeadMan(facts);
  if (subject === undefined) return withoutRenumbering(facts, deadMan);
  const { plan, progress } = readJournal(subject);
  if (plan === undefined) return withoutPlan(facts, subject, deadMan);
  const renumbering = outlineOf(plan, progress, subject.records, facts.deadMan.takenOver);
  const base = { renumbering, deadMan };
  const own = ownAgent(facts, plan);
  if (own.atWork && progress !== undefined) return agentAtWork(facts, plan, progress, base);

  const state = stateOf(facts, subject, progress);
  const held = heldByRs(facts, subject, plan, progress);
  const seen = seenOf(facts, plan, held);
  if (state === 'dead_man_at_work') {
    return {
      ...base,
      state,
      summary: `The dead man is at work: it brings node ${plan.nodeUid} up. Type nothing before it has ended.`,
      seen,
      notes: [
        'It ends within a few minutes: systemctl status rlnet-dead-man.service shows how far it is. Run rlnet rescue again then.',
      ],
      missing: [],
      commands: [],
    };
  }
  const notes = notesOf(facts, plan, progress, state, own.silent);
  const incomplete = (missing: Missing[]): RescueReport => ({
    ...base,
    state,
    summary: summaryOf(state, plan, subject, progress),
    seen,
    notes,
    missing,
    commands: [],
  });
  if (held === undefined || 'other' in held) return incomplete([addressOfRs(facts, plan, held?.other)]);

  const { interfaces, unit, standing, backup } = facts;
  const unread = [
    ...unreadOf(interfaces, 'the addresses of this host', 'ip -j -d address'),
    ...unreadOf(unit, `the state of ${plan.unit.unit}`, `systemctl show ${plan.unit.unit}`),
    ...unreadOf(
      standing,
      'whether a change of the kernel stands for a time only',
      `ls -l ${facts.paths.change}`,
    ),
    ...unreadOf(backup, "the back-up of the owner's files", `ls -l ${facts.paths.backup}`),
  ];
  if (unread.length > 0) return incomplete(unread);
  const aim = aimOf(facts, subject, plan, progress, held);
  if (isOver(facts, state, aim)) return over(facts, plan, renumbering, deadMan, seen);
  const { commands, missing } = commandsFor(facts, subject, aim);
  return {
    ...base,
    state,
    summary: summaryOf(state, plan, subject, progress),
    seen,
    notes: [...notes, ...notesOfAim(aim)],
    missing,
    commands: missing.length > 0 ? [] : commands,
  };
}

function stateOf(
  { deadMan }: RescueFacts,
  { damage }: JournalFact,
  progress: Progress | undefined,
): RescueState {
  if ('value' in deadMan.service && deadMan.service.value === 'running') return 'dead_man_at_work';
  if (damage !== undefined) return 'damaged';
  if (deadMan.takenOver !== undefined || progress?.takenOver !== undefined) return 'taken_over';
  return progress?.closed === undefined ? 'interrupted' : 'stopped';
}

/** What this host's agent is to the renumbering. @returns `silent`: why it does not answer */
function ownAgent({ agent }: RescueFacts, plan: Plan): { atWork: boolean; silent: string | undefined } {
  if ('unknown' in agent.says) return { atWork: false, silent: agent.says.unknown };
  const standing = agent.says.value;
  const atWork =
    standing?.planId === plan.id && standing.is === 'open' && !standing.trouble?.code.startsWith('JOURNAL_');
  return { atWork, silent: undefined };
}

function agentAtWork(
  facts: RescueFacts,
  plan: Plan,
  progress: Progress,
  base: Pick<RescueReport, 'renumbering' | 'deadMan'>,
): RescueReport {
  const trouble = 'value' in facts.agent.says ? facts.agent.says.value?.trouble : undefined;
  const stops =
    progress.direction === 'forward' && !progress.committed && progress.takenOver === undefined
      ? `To make it turn back: rlnet renumber abort ${plan.id} --reason TEXT`
      : 'It ends by itself, and cannot be turned any more.';
  return {
    ...base,
    state: 'agent_at_work',
    summary: `The agent of this host is alive and at work on it (${progress.direction}, ${progress.step ?? 'at its end'}). Type nothing.`,
    seen: seenOf(facts, plan, undefined),
    notes: [
      ...(trouble === undefined
        ? []
        : [`It has an alarm: ${trouble.code}: ${trouble.message} ${trouble.remedy}`]),
      stops,
      `rlnet renumber follow ${plan.id} shows it as it goes on.`,
    ],
    missing: [],
    commands: [],
  };
}

function summaryOf(
  state: RescueState,
  plan: Plan,
  { path, damage }: JournalFact,
  progress: Progress | undefined,
): string {
  const node = `node ${plan.nodeUid}`;
  if (state === 'damaged')
    return `The journal ${path} of the renumbering of ${node} is damaged: ${damage ?? ''}. rlnet does not go on from it.`;
  if (state === 'taken_over')
    return `The dead man has acted on ${node}: rlnet does no more than look, and a person has to end it.`;
  const at = progress?.step ?? 'its end';
  if (state === 'stopped') {
    const reason = progress?.closed?.reason;
    return `The renumbering of ${node} has stopped on its way ${progress?.direction ?? ''}, at ${at}${reason === undefined ? '.' : `: ${reason.message}`}`;
  }
  return `The renumbering of ${node} is open (${progress?.direction ?? ''}, at ${at}), and nobody goes on with it.`;
}

function notesOf(
  { agent, configuration, deadMan }: RescueFacts,
  plan: Plan,
  progress: Progress | undefined,
  state: RescueState,
  silent: string | undefined,
): string[] {
  const reason = progress?.closed?.reason;
  const actsIn = 'value' in deadMan.timer ? deadMan.timer.value.actsIn : undefined;
  return [
    ...(configuration === undefined
      ? []
      : [`The configuration was not read, and paths are those of its defaults: ${configuration}`]),
    ...(reason === undefined ? [] : [`It stopped because of ${reason.code}. ${reason.remedy}`]),
    ...(state === 'interrupted' && silent !== undefined
      ? [
          `An agent that is started goes on by itself: rlnet config check says what keeps it from starting, and systemctl start rlnet starts it. The commands are for where it cannot be started (it does not answer: ${silent}).`,
        ]
      : []),
    ...(state === 'interrupted' && silent === undefined
      ? [
          'The agent runs and does not go on with it: journalctl -u rlnet says why. A journal that could not be written is taken up again within half a minute of there being room.',
        ]
      : []),
    ...('value' in agent.unit && agent.unit.value.activeState === 'active' && silent !== undefined
      ? [`rlnet.service is active and does not answer (${silent}): it is stopped first.`]
      : []),
    ...(deadMan.armed && !deadMan.finished && actsIn !== undefined
      ? [
          `The dead man does most of this by itself in ${Math.ceil(actsIn)} s. Wait for it, or type the commands, of which the first holds it off.`,
        ]
      : []),
    ...(plan.owner === 'manual' ? ['network.owner is manual: the address is changed by you.'] : []),
  ];
}

function notesOfAim({ plan, host, wanted }: Aim): string[] {
  const [want, other] =
    wanted === 'old' ? [plan.change.from, plan.change.to] : [plan.change.to, plan.change.from];
  return [
    ...(host.kernelRight
      ? []
      : [`A session over ${other.address} ends when the address goes: use another address, or the console.`]),
    ...(host.kernelRight && host.files === 'edited'
      ? [
          `The host has ${want.address} now, and somebody else has edited the files of ${plan.owner}: see that the next boot brings it too.`,
        ]
      : []),
  ];
}

/** What nobody but RS can say. */
function addressOfRs(
  { paths, nodes }: RescueFacts,
  { nodeUid, change }: Plan,
  other: Address | undefined,
): Missing {
  const both = `${change.from.address} or ${change.to.address}`;
  if (other !== undefined) {
    return {
      what: `RS has ${other} for node ${nodeUid}, which is neither ${both}.`,
      how: `Find out who set it. To go on, let RS have one of the two: on another node, while node ${nodeUid} is DOWN there: ${paths.rladmin} node ${nodeUid} addr set ADDRESS; then run here: rlnet rescue --rs-address ADDRESS`,
    };
  }
  const silent = 'unknown' in nodes ? ` (it cannot be read here: ${nodes.unknown})` : '';
  return {
    what: `Which address RS has for node ${nodeUid}, ${both}: whether another node has told it the new one is not written down${silent}.`,
    how: `On another node: ${paths.rladmin} status nodes; then run here, with the address in the row node:${nodeUid}: rlnet rescue --rs-address ADDRESS`,
  };
}

function unreadOf(fact: { value: unknown } | { unknown: string }, what: string, how: string): Missing[] {
  return 'unknown' in fact ? [{ what: `Not known: ${what} (${fact.unknown}).`, how }] : [];
}

/** One that stopped, whose lock a person has freed and whose node is well. */
function isOver({ deadMan }: RescueFacts, state: RescueState, aim: Aim): boolean {
  const { host, tell, keepsLock } = aim;
  const well = host.kernelRight && host.unitEnabled && host.unitActive && !tell && host.files !== 'wrong';
  return (state === 'stopped' || state === 'taken_over') && well && !keepsLock && !deadMan.armed;
}

function over(
  facts: RescueFacts,
  plan: Plan,
  renumbering: RescuedRenumbering,
  deadMan: string,
  seen: Seen[],
): RescueReport {
  return {
    state: 'nothing',
    summary: `The renumbering ${plan.id} of node ${plan.nodeUid} had stopped; its lock is free and the node is up. There is nothing to rescue.`,
    renumbering,
    deadMan,
    seen,
    notes: facts.configuration === undefined ? [] : [facts.configuration],
    missing: [],
    commands: [],
  };
}

/** No journal needs anybody: but a dead man, or a claim of the lock, can have been left behind. */
function withoutRenumbering(facts: RescueFacts, deadMan: string): RescueReport {
  const { lock, configuration } = facts;
  const granted = 'value' in lock ? lock.value?.granted : undefined;
  const commands = facts.deadMan.armed ? scriptCommands(facts.paths, 'left') : [];
  const elsewhere =
    granted === undefined
      ? []
      : [
          `As this host knows it, ${granted.host} has the cluster's lock for ${granted.planId}: run rlnet rescue on the host of that node; rlnet lock show says where it stands.`,
        ];
  return {
    state: commands.length > 0 ? 'left_over' : 'nothing',
    summary:
      commands.length > 0
        ? 'No renumbering of this host is open, and a dead man of one that is over is still armed.'
        : 'No renumbering of this host needs a person. There is nothing to rescue here.',
    deadMan,
    seen: [
      ...('unknown' in facts.agent.says
        ? [{ what: 'agent', is: `not known: ${facts.agent.says.unknown}` }]
        : []),
    ],
    notes: [
      ...(configuration === undefined ? [] : [`The configuration was not read: ${configuration}`]),
      ...elsewhere,
    ],
    missing: [],
    commands,
  };
}

/** Not even the first line of the journal can be read: the dead man's script knows the plan, and goes by its word. */
function withoutPlan(
  facts: RescueFacts,
  { path, damage, planId }: JournalFact,
  deadMan: string,
): RescueReport {
  const {
    deadMan: { armed, finished, word, takenOver },
    paths,
  } = facts;
  const by = takenOver ?? word;
  const canRun = armed && !finished && (by === 'old' || by === 'new');
  const running = 'value' in facts.deadMan.service && facts.deadMan.service.value === 'running';
  return {
    state: running ? 'dead_man_at_work' : 'damaged',
    summary: running
      ? 'The dead man is at work. Type nothing before it has ended.'
      : `The journal ${path} is damaged in its first line (${damage ?? ''}), so not even its plan can be read.`,
    deadMan,
    seen: [],
    notes: [],
    missing:
      canRun || running
        ? []
        : [
            {
              what: `What was to be changed (plan ${planId}), and which address RS has for this host's node.`,
              how: `${paths.backup}/manifest.json has the change, ${paths.deadMan}/script the addresses and the unit, where they are there; ${paths.rladmin} status nodes on another node has the address. The host is to have that address alone, and the unit enabled and running: docs/network-owners.md has the commands for each owner.`,
            },
          ],
    commands: canRun ? scriptCommands(paths, 'run', path) : [],
  };
}

function outlineOf(
  { id, nodeUid, change }: Plan,
  progress: Progress | undefined,
  records: readonly JournalRecord[],
  takenOver: DirectionWord | undefined,
): RescuedRenumbering {
  const reason = progress?.closed?.reason ?? (takenOver === undefined ? progress?.turned : undefined);
  const since = records.findLast(
    ({ type }) => type !== 'resumed' && type !== 'intent' && type !== 'alarm',
  )?.wall;
  return {
    planId: id,
    nodeUid,
    from: change.from,
    to: change.to,
    ...(progress === undefined ? {} : { direction: progress.direction }),
    ...(progress?.step === undefined ? {} : { step: progress.step }),
    ...(since === undefined ? {} : { since }),
    ...(reason === undefined ? {} : { reason }),
  };
}
