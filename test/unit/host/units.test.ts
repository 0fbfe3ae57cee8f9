import { describe, expect, it } from 'vitest';
import { Properties } from '../../../src/host/systemctl.ts';
import { createUnits, parseUnitState } from '../../../src/host/units.ts';
import { execWithPrograms } from '../../support/programs.ts';

/** As systemd 252 answers, in its own order. */
function answer(unit: string, load: string, active: string, sub: string, file: string): string {
  return `Result=success\nId=${unit}\nLoadState=${load}\nActiveState=${active}\nSubState=${sub}\nUnitFileState=${file}\n`;
}

describe('parseUnitState', () => {
  it('reads the properties by name, whatever their order and whatever stands beside them', () => {
    expect(
      parseUnitState(
        new Properties(answer('rlec_supervisor.service', 'loaded', 'failed', 'failed', 'linked')),
      ),
    ).toEqual({
      unit: 'rlec_supervisor.service',
      loadState: 'loaded',
      activeState: 'failed',
      subState: 'failed',
      unitFileState: 'linked',
      result: 'success',
    });
  });

  it('takes a unit without a file, and one that never has a result', () => {
    const text =
      'Id=multi-user.target\nLoadState=loaded\nActiveState=active\nSubState=active\nUnitFileState=\n';
    expect(parseUnitState(new Properties(text))).toMatchObject({ unitFileState: '', result: '' });
  });

  it.each(['Id', 'LoadState', 'ActiveState', 'SubState'])('refuses an answer without %s', (name) => {
    const whole = answer('a.service', 'loaded', 'active', 'running', 'enabled');
    for (const text of [
      whole.replace(new RegExp(`^${name}=.*\n`, 'm'), ''),
      whole.replace(new RegExp(`^${name}=.*$`, 'm'), `${name}=`),
    ]) {
      expect(() => parseUnitState(new Properties(text))).toThrow(
        expect.objectContaining({ code: 'OUTPUT_UNREADABLE', message: expect.stringContaining(name) }),
      );
    }
  });
});

/** A systemctl that knows units by these names, each with its own name and load state, and no others. */
function systemctlWith(known: Readonly<Record<string, readonly [id: string, loadState: string]>>): string {
  const cases = Object.entries(known).map(
    ([name, [id, load]]) =>
      `${name}) printf '${answer(`${id}.service`, load, 'active', 'running', 'enabled').replaceAll('\n', '\\n')}' ;;`,
  );
  const none = answer('%s.service', 'not-found', 'inactive', 'dead', '').replaceAll('\n', '\\n');
  return `for unit; do :; done; case $unit in ${cases.join(' ')} *) printf '${none}' "$unit" ;; esac`;
}

describe('units', () => {
  it.each([
    ['the newer name', { rlec_supervisor: ['rlec_supervisor', 'loaded'] }, 'rlec_supervisor.service'],
    ['the older name', { rlec_supervisord: ['rlec_supervisord', 'loaded'] }, 'rlec_supervisord.service'],
    ['neither', { ssh: ['ssh', 'loaded'] }, undefined],
    [
      'one that is an alias of the other',
      { rlec_supervisor: ['rlec_supervisord', 'loaded'], rlec_supervisord: ['rlec_supervisord', 'loaded'] },
      'rlec_supervisord.service',
    ],
    [
      'both, of which one is masked',
      { rlec_supervisor: ['rlec_supervisor', 'masked'], rlec_supervisord: ['rlec_supervisord', 'loaded'] },
      'rlec_supervisord.service',
    ],
  ] as const)('discover, on a host that knows %s, the unit by its own name', async (_what, known, found) => {
    const exec = await execWithPrograms({ systemctl: systemctlWith(known) });
    expect(await createUnits(exec).discover(undefined)).toBe(found);
  });

  it('do not choose between two units that differ, but for the one that the configuration names', async () => {
    const both = {
      rlec_supervisor: ['rlec_supervisor', 'loaded'],
      rlec_supervisord: ['rlec_supervisord', 'loaded'],
    } as const;
    const units = createUnits(await execWithPrograms({ systemctl: systemctlWith(both) }));
    await expect(units.discover(undefined)).rejects.toMatchObject({
      code: 'UNIT_AMBIGUOUS',
      message: expect.stringMatching(/rlec_supervisor\.service.*rlec_supervisord\.service/),
    });
    expect(await units.discover('rlec_supervisord')).toBe('rlec_supervisord.service');
  });

  it('take the configured unit even where systemd does not know it, and say so in its state', async () => {
    const systemctl = systemctlWith({ rlec_supervisor: ['rlec_supervisor', 'loaded'] });
    const units = createUnits(await execWithPrograms({ systemctl }));
    expect(await units.discover('redis')).toBe('redis.service');
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
