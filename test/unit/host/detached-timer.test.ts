import { describe, expect, it } from 'vitest';
import { createClock } from '../../../src/host/clock.ts';
import { createDetachedTimer, parseTimerState } from '../../../src/host/detached-timer.ts';
import { execWithPrograms } from '../../support/programs.ts';

const units = (timer: string, service: string) =>
  [
    ['Id=a.timer', 'LoadState=loaded', `ActiveState=${timer}`].join('\n'),
    ['Id=a.service', 'LoadState=loaded', `ActiveState=${service}`, ''].join('\n'),
  ].join('\n\n');

describe('a detached timer of systemd', () => {
  it.for([
    ['active', 'inactive', 'waiting'],
    ['active', 'active', 'running'],
    ['inactive', 'active', 'running'],
    ['inactive', 'deactivating', 'running'],
    ['inactive', 'inactive', 'gone'],
    ['failed', 'failed', 'gone'],
  ] as const)('whose timer is %s and whose service is %s is %s', ([timer, service, state]) => {
    expect(parseTimerState(units(timer, service), 'a')).toBe(state);
  });

  it('is not gone because an answer is not understood', () => {
    for (const text of [
      '',
      'Id=a.timer\nLoadState=loaded\nActiveState=inactive\n',
      units('x', 'y').replaceAll('Id=a', 'Id=b'),
    ]) {
      expect(() => parseTimerState(text, 'a')).toThrow(
        expect.objectContaining({ code: 'OUTPUT_UNREADABLE' }),
      );
    }
  });

  it('that systemd does not take is a coded error', async () => {
    const exec = await execWithPrograms({
      'systemd-run': 'echo "Failed to connect to bus: Host is down" >&2; exit 1',
    });
    await expect(createDetachedTimer(exec, createClock()).arm('a', '/s', 10)).rejects.toMatchObject({
      code: 'DETACHED_TIMER_FAILED',
      message: expect.stringContaining('Host is down'),
    });
  });

  it('that is not seen waiting after it was armed is a coded error', async () => {
    const exec = await execWithPrograms({
      'systemd-run': 'exit 0',
      systemctl: `printf '${units('inactive', 'inactive').replaceAll('\n', '\\n')}'`,
    });
    await expect(createDetachedTimer(exec, createClock()).arm('a', '/s', 10)).rejects.toMatchObject({
      code: 'DETACHED_TIMER_FAILED',
      message: expect.stringContaining('gone after it was armed'),
    });
  });

  it('that cannot be stopped is a coded error', async () => {
    const exec = await execWithPrograms({
      systemctl: `printf '${units('active', 'inactive').replaceAll('\n', '\\n')}'`,
    });
    await expect(createDetachedTimer(exec, createClock()).disarm('a')).rejects.toMatchObject({
      code: 'DETACHED_TIMER_FAILED',
    });
  });
});
