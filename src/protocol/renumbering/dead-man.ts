/**
 * Which address the dead man brings the node up at, one word in a file of its own. It follows what RS may hold:
 * `old` until the registration of the new one is intended, `both` while it is open whether it landed, `new` once it was read back.
 */
export const directionWords = ['old', 'both', 'new'] as const;
export type DirectionWord = (typeof directionWords)[number];

/**
 * How long the agent may give no sign of life before the dead man acts, in seconds of boot time; in full again after each boot. Longer
 * than an agent takes to start, far shorter than the 600 s after which RS begins to replace the replicas of a node that is down.
 */
export const deadManSeconds = 300;
/** The sign of life is given so often while the agent is at work, in seconds. */
export const signOfLifeSeconds = 30;

/** The word that must be on disk, fsynced, *before* the journal says that this step is intended; undefined: stays as it is. */
export function wordBeforeIntent(step: string): DirectionWord | undefined {
  return step === 'register' || step === 'restore_registration' ? 'both' : undefined;
}

/** The word that must be on disk before the journal says that this step is done; undefined: stays as it is. */
export function wordBeforeDone(step: string): DirectionWord | undefined {
  if (step === 'register') return 'new';
  return step === 'restore_registration' ? 'old' : undefined;
}
