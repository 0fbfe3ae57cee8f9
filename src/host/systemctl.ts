import { RlnetError } from '../protocol/errors.ts';
import { commandFailed, type Exec } from './ports/exec.ts';

/** systemd answers in milliseconds, but not while it reloads its configuration. */
const timeoutMs = 10_000;

/** `NAME=value` lines of `systemctl show`, read by name: their order is systemd's. */
export class Properties {
  readonly #values: ReadonlyMap<string, string>;

  constructor(text: string) {
    this.#values = new Map(
      text.split('\n').map((line): [string, string] => {
        const equals = line.indexOf('=');
        return [line.slice(0, equals), line.slice(equals + 1)];
      }),
    );
  }

  /**
   * A property that this kind of unit, or this version of systemd, may lack.
   * @returns empty where it does, as systemd itself has it for one without a value
   */
  optional(name: string): string {
    return this.#values.get(name) ?? '';
  }

  /** @throws RlnetError OUTPUT_UNREADABLE where the property is missing; it may be empty */
  present(name: string): string {
    const value = this.#values.get(name);
    if (value !== undefined) return value;
    throw missing(name);
  }

  /** @throws RlnetError OUTPUT_UNREADABLE where the property is missing or empty */
  filled(name: string): string {
    const value = this.optional(name);
    if (value !== '') return value;
    throw missing(name);
  }
}

function missing(name: string): RlnetError {
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `systemctl show gave no ${name}.`,
    'Report this with the output of systemctl --version.',
  );
}

/**
 * Properties of units, or with none named of systemd itself. Takes some milliseconds.
 * @throws RlnetError COMMAND_FAILED (systemd is not running, or not a unit name); what Exec throws.
 */
export async function show(
  exec: Exec,
  properties: readonly string[],
  units: readonly string[],
): Promise<Properties[]> {
  // After `--`, so that no name can be taken for an option.
  const args = ['show', '--no-pager', `--property=${properties.join(',')}`, '--', ...units];
  const result = await exec.run('systemctl', args, { timeoutMs });
  if (result.exitCode !== 0) {
    throw commandFailed(
      ['systemctl show', ...units].join(' '),
      result,
      'rlnet needs a host that was booted with systemd; if it was, run the command by hand.',
    );
  }
  // An empty line stands between two units.
  return result.stdout.split('\n\n').map((block) => new Properties(block));
}

/** As `show`, of one unit. */
export async function showUnit(exec: Exec, properties: readonly string[], unit: string): Promise<Properties> {
  const [shown = new Properties('')] = await show(exec, properties, [unit]);
  return shown;
}

/**
 * Whether a unit is to start with the host, as the links on the disk have it: `UnitFileState=` is what they were when systemd read the unit last.
 * @throws RlnetError COMMAND_FAILED where systemctl does not say; what Exec throws
 */
export async function isEnabledOnDisk(exec: Pick<Exec, 'run'>, unit: string): Promise<boolean> {
  const result = await exec.run('systemctl', ['is-enabled', '--', unit], { timeoutMs });
  // The exit status is another one for each state that is not this one.
  const state = result.stdout.trim();
  if (state === '') throw commandFailed(`systemctl is-enabled ${unit}`, result, 'Run the command by hand.');
  return state === 'enabled';
}
