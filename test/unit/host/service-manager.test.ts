import { readFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { createServiceManager } from '../../../src/host/service-manager.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** A service manager whose notifications are written down, one a line: the socket, then each argument in brackets. */
async function recorded(env: { NOTIFY_SOCKET?: string; WATCHDOG_USEC?: string }) {
  const record = `${await temporaryDirectory()}/record`;
  const exec = await execWithPrograms({
    'systemd-notify': `{ printf '%s' "$NOTIFY_SOCKET"; printf '[%s]' "$@"; echo; } >> ${record}`,
  });
  const onFailure = vi.fn();
  const service = createServiceManager(exec, env, onFailure);
  return {
    service,
    onFailure,
    notifications: async () => (await readFile(record, 'utf8')).trim().split('\n'),
  };
}

describe('the service manager', () => {
  it('is told of readiness, and of it again with each status and keep-alive, as one may be lost; and of the end', async () => {
    const { service, onFailure, notifications } = await recorded({ NOTIFY_SOCKET: '/run/systemd/notify' });
    await service.status('starting');
    await service.ready('looking around');
    await service.status('3 of 3 links');
    await service.keepAlive();
    await service.stopping();
    await service.status('saying good-bye');
    expect(await notifications()).toEqual([
      '/run/systemd/notify[STATUS=starting]',
      '/run/systemd/notify[READY=1][STATUS=looking around]',
      '/run/systemd/notify[READY=1][STATUS=3 of 3 links]',
      '/run/systemd/notify[READY=1][WATCHDOG=1]',
      '/run/systemd/notify[STOPPING=1]',
      '/run/systemd/notify[STATUS=saying good-bye]',
    ]);
    expect(onFailure).not.toHaveBeenCalled();
  });

  it('is told one status on one line, so that no other variable hides in it', async () => {
    const { service, notifications } = await recorded({ NOTIFY_SOCKET: '@x' });
    await service.status(`first\nMAINPID=1 ${'long '.repeat(200)}`);
    const [line = ''] = await notifications();
    expect(line).toMatch(/^@x\[STATUS=first MAINPID=1 long/);
    expect(line.length).toBeLessThan(300);
  });

  it('is told nothing where there is none', async () => {
    const { service, onFailure, notifications } = await recorded({});
    await service.ready('nobody listens');
    await service.stopping();
    await expect(notifications()).rejects.toThrow('ENOENT');
    expect(onFailure).not.toHaveBeenCalled();
  });

  it('that cannot be told is reported and is no error', async () => {
    const exec = await execWithPrograms({ 'systemd-notify': 'echo "No such socket" >&2; exit 1' });
    const onFailure = vi.fn();
    const service = createServiceManager(exec, { NOTIFY_SOCKET: '/nowhere' }, onFailure);
    await service.ready('up');
    expect(onFailure).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ code: 'COMMAND_FAILED', message: expect.stringContaining('No such socket') }),
    );
  });

  it.each([
    ['30000000', 30_000],
    ['2500', 2.5],
    ['0', undefined],
    ['', undefined],
    ['soon', undefined],
    [undefined, undefined],
  ])('with WATCHDOG_USEC %j wants a keep-alive every %s milliseconds', (microseconds, expected) => {
    const env = microseconds === undefined ? {} : { WATCHDOG_USEC: microseconds };
    const never = {
      run: () => Promise.reject(new Error()),
      lines: () => ({ ended: Promise.reject(new Error()), stop: () => {} }),
    };
    expect(createServiceManager(never, env, () => {}).watchdogMs).toBe(expected);
  });
});
