import { RlnetError } from '../protocol/errors.ts';
import type { UnitState } from '../protocol/unit.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Units } from './ports/units.ts';

/** Both are real to users: the first on installations of today, the second on older ones and in the vendor's IPv6 page. */
const knownUnits = ['rlec_supervisor', 'rlec_supervisord'] as const;

const properties = 'Id,LoadState,ActiveState,SubState,UnitFileState,Result';

/** systemd answers in milliseconds, but not while it reloads its configuration. */
const timeoutMs = 10_000;

export function createUnits(exec: Exec): Units {
  const state = async (unit: string): Promise<UnitState> => {
    // After `--`, so that no name can be taken for an option.
    const args = ['show', '--no-pager', `--property=${properties}`, '--', unit];
    const result = await exec.run('systemctl', args, { timeoutMs });
    if (result.exitCode !== 0) {
      throw commandFailed(
        `systemctl show ${unit}`,
        result,
        'rlnet needs a host that was booted with systemd; if it was, run the command by hand.',
      );
    }
    return parseUnitState(result.stdout);
  };
  return {
    state,
    discover: async (configured) => {
      if (configured !== undefined) return configured;
      for (const unit of knownUnits) {
        if ((await state(unit)).loadState !== 'not-found') return unit;
      }
      return undefined;
    },
  };
}

/**
 * The answer of `systemctl show` for one unit: `NAME=value` lines, in systemd's order.
 * @throws RlnetError OUTPUT_UNREADABLE where a property that every unit has is missing.
 */
export function parseUnitState(text: string): UnitState {
  const values = new Map(
    text.split('\n').map((line): [string, string] => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
  const property = (name: string): string => {
    const value = values.get(name);
    if (value !== undefined && value !== '') return value;
    throw new RlnetError(
      'OUTPUT_UNREADABLE',
      `systemctl show gave no ${name}.`,
      'Report this with the output of systemctl --version.',
    );
  };
  return {
    unit: property('Id'),
    loadState: property('LoadState'),
    activeState: property('ActiveState'),
    subState: property('SubState'),
    // Empty where there is no unit file; targets have no Result.
    unitFileState: values.get('UnitFileState') ?? '',
    result: values.get('Result') ?? '',
  };
}
