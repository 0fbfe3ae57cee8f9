import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createClock } from '../../../src/host/clock.ts';
import { createFiles } from '../../../src/host/files.ts';
import type { UnitControl } from '../../../src/host/ports/unit-control.ts';
import { createUnitControl } from '../../../src/host/unit-control.ts';
import { parseAlso } from '../../../src/host/unit-record.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

// What the real systemd does is in test/lab/unit.test.ts; here is what it does not do to order.

const running = [
  ...['ActiveState=active', 'SubState=running', 'Result=success', 'InvocationID=a1'],
  ...['StateChangeTimestampMonotonic=70', 'ConditionTimestampMonotonic=60', 'ConditionResult=yes'],
  ...['AssertResult=yes', 'Job='],
].join('\\n');

async function controlWith(systemctl: string): Promise<UnitControl> {
  const exec = await execWithPrograms({ systemctl, journalctl: 'echo "the last line"' });
  return createUnitControl({ exec, files: createFiles(), clock: createClock() });
}

describe('a job', () => {
  it('goes on when nobody wants to watch it any more', async () => {
    const state = await temporaryDirectory();
    const control = await controlWith(`
      case $1 in
        start) touch ${state}/started ;;
        show) printf '${running.replace('Job=', 'Job=17').replace('=active', '=activating')}\\n'; touch ${state}/shown ;;
        *) touch ${state}/unexpected ;;
      esac`);
    const controller = new AbortController();
    const started = control.start('rs.service', { boundMs: 60_000, signal: controller.signal });
    const reason = new Error('no longer needed');
    const refused = expect(started).rejects.toBe(reason);
    const files = createFiles();
    await vi.waitFor(async () => expect(await files.readIfExists(`${state}/shown`)).toBe(''), {
      timeout: 10_000,
    });
    controller.abort(reason);
    await refused;
    expect(await files.readIfExists(`${state}/started`)).toBe('');
    expect(await files.readIfExists(`${state}/unexpected`)).toBeUndefined();
  });

  it('outlives a systemctl that does not answer for a while', async () => {
    const state = await temporaryDirectory();
    // The second and third look fail, as while systemd reloads.
    const control = await controlWith(`
      test "$1" = show || exit 0
      echo >> ${state}/looks
      case $(wc -l < ${state}/looks) in 2|3) echo "Connection timed out" >&2; exit 1 ;; esac
      printf '${running}\\n'`);
    const { signal } = new AbortController();
    await expect(control.start('rs.service', { boundMs: 60_000, signal })).resolves.toBeUndefined();
  });

  it('ends with what systemctl said when it has not answered up to the bound', async () => {
    const state = await temporaryDirectory();
    const control = await controlWith(`
      test "$1" = show || exit 0
      test -e ${state}/looked && { echo "Connection timed out" >&2; exit 1; }
      touch ${state}/looked
      printf '${running}\\n'`);
    const { signal } = new AbortController();
    await expect(control.start('rs.service', { boundMs: 300, signal })).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('Connection timed out'),
    });
  });

  it('is not begun where systemctl is missing', async () => {
    const exec = await execWithPrograms({});
    const missing = {
      ...exec,
      run: (_: string, ...rest: [string[], never]) => exec.run('/nowhere/systemctl', ...rest),
    };
    const control = createUnitControl({
      exec: missing as typeof exec,
      files: createFiles(),
      clock: createClock(),
    });
    const { signal } = new AbortController();
    await expect(control.stop('rs.service', { boundMs: 1_000, signal })).rejects.toMatchObject({
      code: 'COMMAND_NOT_FOUND',
    });
  });
});

describe('parseAlso', () => {
  it('reads continued lines with comments in between, several lines, and only [Install]', () => {
    const text =
      '[Unit]\nAlso=no.service\n[Install]\n# Also=c.service\nAlso=a.service \\\n; no\n  b.socket\nAlso = d.path\nWantedBy=x\n';
    expect(parseAlso(text)).toEqual(['a.service', 'b.socket', 'd.path']);
    expect(parseAlso('')).toEqual([]);
  });

  it('finds every name, however the lines are broken', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9_@.-]{0,20}\.service$/);
    const gap = fc.constantFrom(' ', '  ', '\t', ' \\\n', ' \\\n# said\n ', '\nAlso=');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, gap), { minLength: 1 }), (words) => {
        const text = `[Install]\nWantedBy=y.target\nAlso=${words.flat().slice(0, -1).join('')}\n`;
        expect(parseAlso(text)).toEqual(words.map(([word]) => word));
      }),
    );
  });
});
