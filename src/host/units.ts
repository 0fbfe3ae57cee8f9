import { chooseUnit, rsUnitNames, type UnitState } from '../protocol/unit.ts';
import type { Exec } from './ports/exec.ts';
import type { Units } from './ports/units.ts';
import { type Properties, showUnit } from './systemctl.ts';

export const stateProperties = [
  'Id',
  'LoadState',
  'ActiveState',
  'SubState',
  'UnitFileState',
  'Result',
] as const;

export function createUnits(exec: Exec): Units {
  const state = async (unit: string): Promise<UnitState> =>
    parseUnitState(await showUnit(exec, stateProperties, unit));
  return {
    state,
    discover: async (configured) => {
      if (configured !== undefined) return (await state(configured)).unit;
      return chooseUnit(await Promise.all(rsUnitNames.map(state)));
    },
  };
}

/** @throws RlnetError OUTPUT_UNREADABLE where a property that every unit has is missing. */
export function parseUnitState(shown: Properties): UnitState {
  return {
    unit: shown.filled('Id'),
    loadState: shown.filled('LoadState'),
    activeState: shown.filled('ActiveState'),
    subState: shown.filled('SubState'),
    // Empty where there is no unit file; targets have no Result.
    unitFileState: shown.optional('UnitFileState'),
    result: shown.optional('Result'),
  };
}
