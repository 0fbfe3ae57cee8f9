import * as v from 'valibot';

/**
 * The steps of a renumbering, in the vendor's order (docs/address-change.md has them as a table). Forward they take the
 * node to its new address; back they bring it to the old one, each only where the way forward had got so far.
 */
export const forwardSteps = [
  'claim',
  'preflight',
  'rehearse',
  'arm',
  'demote',
  'disable',
  'restart',
  'readdress',
  'register',
  'external',
  'enable',
  'start',
  'rejoin',
  'release',
] as const;
/** `prove` is one more, right before `release`, where the plan asks for a proof by a boot. */
export type ForwardStep = (typeof forwardSteps)[number] | 'prove';

/** All steps forward of a plan, in order. */
export function forwardPathOf({ proveByReboot }: { proveByReboot: boolean }): ForwardStep[] {
  return forwardSteps.flatMap((step): ForwardStep[] =>
    step === 'release' && proveByReboot ? ['prove', step] : [step],
  );
}

export const backSteps = [
  'stop',
  'restore_address',
  'restore_registration',
  'restore_files',
  'enable',
  'start',
  'rejoin',
  'release',
] as const;
export type BackStep = (typeof backSteps)[number];

export type Step = ForwardStep | BackStep;
export const stepSchema = v.picklist([
  ...new Set<Step>([...forwardPathOf({ proveByReboot: true }), ...backSteps]),
]);

export const directionSchema = v.picklist(['forward', 'back']);
/** `forward`: to the new address. `back`: to the old one. It turns once at most, and never from back to forward. */
export type Direction = v.InferOutput<typeof directionSchema>;

/** What a step needs to be known, freshly, before its act. */
export interface StepRule {
  /** Guards that are asked again right before: another node may have failed since the preflight. */
  guards: boolean;
  /** A majority's fresh "still held": the act takes the node out of service or changes an address. */
  held: boolean;
}

const plain: StepRule = { guards: false, held: false };
/** What they are is each step's own: all of them for the preflight, the gate for the release. */
const asked: StepRule = { guards: true, held: false };
const outage: StepRule = { guards: true, held: true };
const held: StepRule = { guards: false, held: true };

/** Forward. Restoring service (enable, start) needs nobody's leave. */
export const forwardRules: Readonly<Record<ForwardStep, StepRule>> = {
  claim: plain,
  preflight: asked,
  rehearse: held,
  arm: plain,
  demote: outage,
  disable: outage,
  restart: outage,
  readdress: held,
  register: held,
  external: held,
  enable: plain,
  start: plain,
  rejoin: plain,
  // Takes the node out once more, with no way back: the gate to the next node is asked as well.
  prove: outage,
  // Every shard in sync and no action running: the gate to the next node.
  release: asked,
};

/** Back. Only what changes RS needs the lock; the registrar asks for it as well. */
export const backRules: Readonly<Record<BackStep, StepRule>> = {
  stop: plain,
  restore_address: plain,
  restore_registration: held,
  restore_files: plain,
  enable: plain,
  start: plain,
  rejoin: plain,
  release: plain,
};

/** The way back to each step forward that was ever intended. What is not here leaves nothing that has to be undone. */
const undoneBy: Readonly<Partial<Record<ForwardStep, readonly BackStep[]>>> = {
  disable: ['enable', 'start', 'rejoin'],
  restart: ['enable', 'start', 'rejoin'],
  readdress: ['restore_address', 'restore_files', 'enable', 'start', 'rejoin'],
  register: ['restore_registration'],
  external: ['restore_registration'],
  start: ['stop'],
};

/**
 * Which steps a rollback takes, in order, after these were intended on the way forward. The last one is always `release`:
 * it takes back a rehearsal that is still there, disarms the dead man and gives the lock back.
 */
export function backStepsFor(intended: ReadonlySet<ForwardStep>): BackStep[] {
  const needed = new Set<BackStep>(['release']);
  for (const step of intended) for (const undo of undoneBy[step] ?? []) needed.add(undo);
  return backSteps.filter((step) => needed.has(step));
}
