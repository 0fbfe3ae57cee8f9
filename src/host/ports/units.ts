import type { UnitState } from '../../protocol/unit.ts';

/** systemd's units, read with `systemctl show` and never from scraped text. */
export interface Units {
  /**
   * Which unit runs RS on this host: the configured name where one is given, known to systemd or not (its state tells);
   * otherwise the first of `rlec_supervisor` and `rlec_supervisord` that systemd knows.
   * @returns undefined where none is configured and systemd knows neither.
   * @throws what `state` throws
   */
  discover(configured: string | undefined): Promise<string | undefined>;
  /**
   * The unit's state. A unit that systemd does not know has `loadState: 'not-found'`.
   * @throws RlnetError COMMAND_FAILED (systemd is not running, or not a unit name), OUTPUT_UNREADABLE; what Exec throws.
   */
  state(unit: string): Promise<UnitState>;
}
