import type { UnitState } from '../../protocol/unit.ts';

/** systemd's units, read with `systemctl show` and never from scraped text. */
export interface Units {
  /**
   * Which unit runs RS on this host: the configured one where a name is given, known to systemd or not (its state tells);
   * otherwise the one of `rlec_supervisor` and `rlec_supervisord` that systemd knows.
   * @returns its own name, also where it was found by an alias; undefined where none is configured and systemd knows neither
   * @throws RlnetError UNIT_AMBIGUOUS where systemd knows both and they differ; what `state` throws
   */
  discover(configured: string | undefined): Promise<string | undefined>;
  /**
   * The unit's state. A unit that systemd does not know has `loadState: 'not-found'`.
   * @throws RlnetError COMMAND_FAILED (systemd is not running, or not a unit name), OUTPUT_UNREADABLE; what Exec throws.
   */
  state(unit: string): Promise<UnitState>;
}

/** When units may have changed. */
export interface UnitSignals {
  /**
   * Calls `onHint` when one of the units may have changed: its state, or whether it is enabled. A hint only; where systemd does not tell, hints come
   * at a pace of their own, and what happens while it tells nobody is followed by one.
   * @param units names, with or without their suffix; asked at each signal
   */
  watch(units: () => readonly string[], onHint: () => void): { close(): void };
}
