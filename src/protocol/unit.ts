import * as v from 'valibot';

/** A systemd unit as `systemctl show` describes it, in systemd's words. */
export const unitStateSchema = v.object({
  unit: v.string(),
  /** `loaded`, `not-found`, `masked`, `bad-setting`, `error` … */
  loadState: v.string(),
  /** `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`. */
  activeState: v.string(),
  subState: v.string(),
  /** `enabled`, `disabled`, `static`, `linked`, `masked`, `generated` … Empty where there is no unit file. */
  unitFileState: v.string(),
  /** How the last run ended: `success`, `exit-code`, `signal`, `start-limit-hit` … */
  result: v.string(),
});
export type UnitState = v.InferOutput<typeof unitStateSchema>;
