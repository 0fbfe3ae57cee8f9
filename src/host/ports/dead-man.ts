import type { DirectionWord } from '../../protocol/renumbering/dead-man.ts';
import type { Plan } from '../../protocol/renumbering/plan.ts';

/**
 * The dead man: a script with a timer of its own that brings the node back into service when the agent cannot. It needs
 * neither the agent nor Node.js. When the agent has given no sign of life for `deadManSeconds` of boot time, it first leaves a mark that it has
 * taken over, ends the agent, and then binds the address (or both) that one word on disk says, enables the unit and starts it.
 */
export interface DeadMan {
  /**
   * Renders the script for this plan, checks it (`sh -n`), writes the word `old` and starts the timer, which is armed in full again at each
   * boot. Durable when it resolves. Idempotent.
   */
  arm(plan: Plan): Promise<void>;
  /** Begins its time anew, as a sign of life. Does nothing where no dead man is armed, or where it acts already. */
  postpone(): Promise<void>;
  /** Whether script, word and timer are there and the timer runs. */
  isArmed(plan: Plan): Promise<boolean>;
  /** Durable when it resolves. Does nothing where no dead man is armed. */
  setWord(word: DirectionWord): Promise<void>;
  /** The word that it acted on; undefined while it has not. */
  takenOver(): Promise<DirectionWord | undefined>;
  /** Whether none is there that could act, for this plan or another, rendered by this version or another. */
  isDisarmed(): Promise<boolean>;
  /** Stops the timer and takes script, word and mark away. Idempotent. */
  disarm(): Promise<void>;
}
