import { describe, expect, it } from 'vitest';
import { createUnits, parseUnitState } from '../../../src/host/units.ts';
import { execWithPrograms } from '../../support/programs.ts';

/** As systemd 252 answers, in its own order. */
function answer(unit: string, load: string, active: string, sub: string, file: string): string {
  return `Result=success\nId=${unit}\nLoadState=${load}\nActiveState=${active}\nSubState=${sub}\nUnitFileState=${file}\n`;
}

/** A systemctl that knows these units and no others. */
function systemctlKnowing(...units: string[]): string {
  return `
    for unit; do :; done
    case " ${units.join(' ')} " in
      *" $unit "*) printf '${answer('%s.service', 'loaded', 'active', 'running', 'enabled').replaceAll('\n', '\\n')}' "$unit" ;;
      *) printf '${answer('%s.service', 'not-found', 'inactive', 'dead', '').replaceAll('\n', '\\n')}' "$unit" ;;
    esac`;
}

describe('parseUnitState', () => {
  it('reads the properties by name, whatever their order and whatever stands beside them', () => {
    expect(parseUnitState(answer('rlec_supervisor.service', 'loaded', 'failed', 'failed', 'linked'))).toEqual(
      {
        unit: 'rlec_supervisor.service',
        loadState: 'loaded',
        activeState: 'failed',
        subState: 'failed',
        unitFileState: 'linked',
        result: 'success',
      },
    );
  });

  it('takes a unit without a file, and one that never has a result', () => {
    const text =
      'Id=multi-user.target\nLoadState=loaded\nActiveState=active\nSubState=active\nUnitFileState=\n';
    expect(parseUnitState(text)).toMatchObject({ unitFileState: '', result: '' });
  });

  it.each(['Id', 'LoadState', 'ActiveState', 'SubState'])('refuses an answer without %s', (name) => {
    const whole = answer('a.service', 'loaded', 'active', 'running', 'enabled');
    for (const text of [
      whole.replace(new RegExp(`^${name}=.*\n`, 'm'), ''),
      whole.replace(new RegExp(`^${name}=.*$`, 'm'), `${name}=`),
    ]) {
      expect(() => parseUnitState(text)).toThrow(
        expect.objectContaining({ code: 'OUTPUT_UNREADABLE', message: expect.stringContaining(name) }),
      );
    }
  });
});

describe('units', () => {
  it.each([
    [['rlec_supervisor', 'rlec_supervisord'], 'rlec_supervisor'],
    [['rlec_supervisord'], 'rlec_supervisord'],
    [['ssh'], undefined],
  ])('discover, of %j, %s', async (known, found) => {
    const exec = await execWithPrograms({ systemctl: systemctlKnowing(...known) });
    expect(await createUnits(exec).discover(undefined)).toBe(found);
  });

  it('take the configured unit even where systemd does not know it, and say so in its state', async () => {
    const units = createUnits(await execWithPrograms({ systemctl: systemctlKnowing('rlec_supervisor') }));
    expect(await units.discover('redis')).toBe('redis');
    expect(await units.state('redis')).toMatchObject({ unit: 'redis.service', loadState: 'not-found' });
  });

  it('say COMMAND_FAILED where systemd does not run', async () => {
    const exec = await execWithPrograms({
      systemctl: 'echo "System has not been booted with systemd as init system (PID 1)." >&2; exit 1',
    });
    await expect(createUnits(exec).discover(undefined)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('not been booted with systemd'),
      remedy: expect.stringContaining('systemd'),
    });
  });
});
