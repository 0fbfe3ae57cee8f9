import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createFiles } from '../../../src/host/files.ts';
import { inTransientUnits } from '../../../src/host/transient-units.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** A systemd-run that notes its words and runs the program; the lab tests have the real one. */
async function transient() {
  const directory = await temporaryDirectory();
  const exec = await execWithPrograms({
    'systemd-run': `printf '%s\\n' "$@" > ${directory}/run
while [ "$1" != -- ]; do shift; done
shift
exec "$@"`,
    systemctl: `printf '%s\\n' "$*" >> ${directory}/systemctl`,
  });
  const words = async () => (await readFile(`${directory}/run`, 'utf8')).trim().split('\n');
  const stopped = () => readFile(`${directory}/systemctl`, 'utf8');
  return { directory, words, stopped, outside: inTransientUnits(exec, createFiles()) };
}

describe('a program in a transient unit', () => {
  it('gives its exit status and both outputs, as any program does', async () => {
    const { outside } = await transient();
    const script = 'echo "out $0"; echo err >&2; exit 7';
    expect(await outside.run('/bin/sh', ['-c', script, 'a b'], { timeoutMs: 10_000 })).toEqual({
      exitCode: 7,
      stdout: 'out a b\n',
      stderr: 'err\n',
    });
  });

  it('has the environment that every program gets, and what is added, and a time after which systemd ends it', async () => {
    const { outside, words } = await transient();
    await outside.run('/bin/true', [], { timeoutMs: 20_000, env: { WHY: 'not' } });
    expect(await words()).toEqual(
      expect.arrayContaining([
        '--setenv=LC_ALL=C',
        '--setenv=WHY=not',
        '--setenv=PATH=/usr/sbin:/usr/bin:/sbin:/bin',
        '--property=RuntimeMaxSec=25000ms',
      ]),
    );
  });

  it('has a unit of its own each time, of the names that rlnet.service stops', async () => {
    const { outside, words } = await transient();
    const units = [];
    for (let time = 0; time < 2; time += 1) {
      await outside.run('/bin/true', [], { timeoutMs: 10_000 });
      units.push((await words()).find((word) => word.startsWith('--unit=')));
    }
    expect(new Set(units).size).toBe(2);
    for (const unit of units) expect(unit).toMatch(/^--unit=rlnet-run-[\d-]+\.service$/);
    const service = await readFile(new URL('../../../systemd/rlnet.service', import.meta.url), 'utf8');
    expect(service).toMatch(/^ExecStopPost=-systemctl stop "rlnet-run-\*\.service"$/m);
  });

  it('is stopped when its time is over, and the error names it and not what ran it', async () => {
    const { outside, stopped, words } = await transient();
    await expect(outside.run('/bin/sleep', ['30'], { timeoutMs: 500 })).rejects.toMatchObject({
      code: 'COMMAND_TIMEOUT',
      message: '/bin/sleep 30 did not end within 0.5 s and was killed.',
    });
    const unit = (await words()).find((word) => word.startsWith('--unit='))?.slice('--unit='.length);
    expect(await stopped()).toBe(`stop ${unit}\n`);
  });

  it('is stopped when the caller gives up, who gets his own reason', async () => {
    const { outside, stopped, directory } = await transient();
    const giveUp = new AbortController();
    const running = outside.run('/bin/sh', ['-c', `echo > ${directory}/started; sleep 30`], {
      timeoutMs: 30_000,
      signal: giveUp.signal,
    });
    const given = expect(running).rejects.toThrow('enough');
    const started = () => readFile(`${directory}/started`).catch(() => undefined);
    while ((await started()) === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    giveUp.abort(new Error('enough'));
    await given;
    expect(await stopped()).toMatch(/^stop rlnet-run-/);
  });

  it('is not asked of systemd when it is not there', async () => {
    const { outside, directory } = await transient();
    await expect(outside.run('/no/such/rladmin', [], { timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'COMMAND_NOT_FOUND',
      message: '/no/such/rladmin is not there or is not executable (ENOENT).',
    });
    await expect(createFiles().mode(`${directory}/run`)).resolves.toBeUndefined();
  });
});
