import type { UnitState } from '../../protocol/unit.ts';

/** systemd's units, read with `systemctl show` and never from scraped text. */
export interface Units {
  /**
   * Which unit runs RS on this host: the configured name if there is one, otherwise `rlec_supervisor`, otherwise
   * `rlec_supervisord`, the first that systemd knows.
   * @returns undefined where systemd knows none of them.
   */
  discover(configured: string | undefined): Promise<string | undefined>;
  /** The unit's state. A unit that systemd does not know has `loadState: 'not-found'`. */
  state(unit: string): Promise<UnitState>;
}
