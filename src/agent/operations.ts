import { RlnetError } from '../protocol/errors.ts';
import type { Asker } from '../protocol/methods.ts';
import type { Log } from './log.ts';

/**
 * An operation is in the log of both hosts: of the one where it was asked for, and of the one that carries it out.
 * @throws RlnetError REMOTE_OPERATIONS_OFF
 */
export type Admit = (asker: Asker, operation: string, fields: object) => void;

/** @param remoteOperations whether other hosts may ask this one for operations */
export function admitsOf(host: string, remoteOperations: boolean, log: Log): Admit {
  return (asker, operation, fields) => {
    // What the agent of this host asks itself was asked for here.
    if (asker.caller === 'member' && asker.host !== host && !remoteOperations) {
      log.warn({ ...fields, from: asker.host }, `${operation} was refused: remote_operations is off`);
      throw new RlnetError(
        'REMOTE_OPERATIONS_OFF',
        `The agent of ${host} takes no operations from other hosts (remote_operations: false).`,
        `Run it on ${host}.`,
      );
    }
    log.warn({ ...fields, from: asker.host }, `an operator asked: ${operation}`);
  };
}
