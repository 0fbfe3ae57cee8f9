import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, it, test } from 'vitest';
import { lookAtDeadMan, parseTimespan } from '../../../src/host/dead-man-look.ts';
import { createFiles } from '../../../src/host/files.ts';
import type { Exec } from '../../../src/host/ports/exec.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

describe('a span of time of systemctl', () => {
  test.for<[string, number | undefined]>([
    ['5min 12.345678s', 312.345678],
    ['1h 2min 3s', 3_723],
    ['2w 1d 4h', 1_310_400],
    ['900ms', 0.9],
    ['0', undefined],
    ['infinity', undefined],
    ['', undefined],
    ['soon', undefined],
  ])('%j is %d seconds', ([text, seconds]) => {
    const parsed = parseTimespan(text);
    if (seconds === undefined) expect(parsed).toBeUndefined();
    else expect(parsed).toBeCloseTo(seconds, 6);
  });
});

describe('the dead man, looked at', () => {
  const value = async <T>(read: () => Promise<T>) => ({ value: await read() });
  const execOf = (timer: string, enabled: string, service: string) => ({
    run: async (_: string, args: readonly string[]) => {
      const stdout = args.at(-1) === 'rlnet-dead-man.timer' ? timer : service;
      return args[0] === 'is-enabled'
        ? { exitCode: enabled === 'enabled' ? 0 : 1, stdout: `${enabled}\n`, stderr: '' }
        : { exitCode: 0, stdout, stderr: '' };
    },
  });

  test.for<[string, string, string, object]>([
    [
      'ActiveState=active\nNextElapseUSecMonotonic=20min',
      'enabled',
      'ActiveState=inactive\nSubState=dead',
      { timer: { value: { actsIn: 200, enabled: true } }, service: { value: 'idle' } },
    ],
    [
      'ActiveState=inactive\nNextElapseUSecMonotonic=',
      'enabled',
      'ActiveState=activating\nSubState=start',
      { timer: { value: { actsIn: undefined, enabled: true } }, service: { value: 'running' } },
    ],
    [
      'ActiveState=active\nNextElapseUSecMonotonic=infinity',
      'disabled',
      'ActiveState=activating\nSubState=auto-restart',
      { timer: { value: { actsIn: undefined, enabled: false } }, service: { value: 'waiting' } },
    ],
  ])('is what its units say: %j, %s, %j', async ([timer, enabled, service, wanted]) => {
    const directory = await temporaryDirectory();
    const deps = {
      exec: execOf(timer, enabled, service) as unknown as Exec,
      files: createFiles(),
      directory,
    };
    expect(await lookAtDeadMan(deps, value, 1_000)).toMatchObject(wanted);
  });

  it('is what stands in its directory, and a word that is none is no word', async () => {
    const directory = `${await temporaryDirectory()}/dead-man`;
    await mkdir(directory);
    await writeFile(`${directory}/script`, '');
    await writeFile(`${directory}/word`, 'both\n');
    await writeFile(`${directory}/taken-over`, 'bo');
    const exec = execOf(
      'ActiveState=inactive',
      'disabled',
      'ActiveState=inactive\nSubState=dead',
    ) as unknown as Exec;
    expect(await lookAtDeadMan({ exec, files: createFiles(), directory }, value, 0)).toMatchObject({
      armed: true,
      word: 'both',
      takenOver: undefined,
      finished: false,
    });
  });
});
