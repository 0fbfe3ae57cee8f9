import type { UnitRecord, UnitState } from '../../protocol/unit.ts';

export interface JobOptions {
  /** How long the unit may take, milliseconds. */
  boundMs: number;
  /** Ends the watching, not the job. */
  signal: AbortSignal;
}

/**
 * Changes a systemd unit. Everything is read back and may be done twice. Units go by their own name (`Id`): an alias is
 * gone once the unit is disabled. Nothing here asks `judgeUnit`: that is for the caller, before the first change.
 *
 * Every method throws what Exec throws (no systemctl, or one that hangs), COMMAND_FAILED with what systemctl said, and
 * OUTPUT_UNREADABLE; the system's error where a unit file or directory cannot be read.
 */
export interface UnitControl {
  /** The unit's state alone, for one run of systemctl. One that systemd does not know has `loadState: 'not-found'`. */
  state(unit: string): Promise<UnitState>;
  /** The unit as it is now. One that systemd does not know has `loadState: 'not-found'`. Costs three runs of systemctl, tens of milliseconds. */
  record(unit: string): Promise<UnitRecord>;
  /**
   * Takes away the links that start the unit with the host, durable when it resolves. Does not stop it. Costs up to a second on a busy host
   * (a minute is the bound), as systemd reads all units anew; so does `enable`.
   * @param unit as `record` gave it before
   * @throws RlnetError UNIT_STILL_ENABLED (or what is on the disk is not known), UNIT_PULLED_IN (another unit starts it; it *is* disabled then)
   */
  disable(unit: UnitRecord): Promise<void>;
  /**
   * Brings back the links of the record, to the letter, durable when it resolves. Does not start it.
   * @param unit as `record` gave it before `disable`
   * @throws RlnetError UNIT_NOT_RESTORED (or what is on the disk is not known)
   */
  enable(unit: UnitRecord): Promise<void>;
  /**
   * Makes the links of the unit durable as they are: whoever finds it enabled or disabled cannot see whether a crash kept that from the disk.
   * @param unit as `record` gave it before `disable`
   * @throws the system's error where the disk refuses
   */
  flush(unit: UnitRecord): Promise<void>;
  /**
   * Starts the unit, and waits until it has been active for a second. Whatever it throws, the job goes on: nothing is taken back.
   * @throws RlnetError UNIT_FAILED, UNIT_START_LIMIT, UNIT_CONDITION_UNMET, UNIT_JOB_CANCELLED, UNIT_UNCHANGED (systemctl said yes,
   *   and nothing happened), UNIT_TIMEOUT (not there within the bound); the signal's reason.
   */
  start(unit: string, options: JobOptions): Promise<void>;
  /**
   * Stops the unit, and waits until it is inactive or failed.
   * @throws RlnetError UNIT_JOB_CANCELLED, UNIT_UNCHANGED, UNIT_TIMEOUT as `start`; the signal's reason.
   */
  stop(unit: string, options: JobOptions): Promise<void>;
}
