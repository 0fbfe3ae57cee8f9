import { describe, expect, it } from 'vitest';
import type { Exec } from '../../../src/host/ports/exec.ts';

/** What a program does, said so that a shell script can do it and a simulation can pretend it. In this order. */
export interface Behaviour {
  stdout?: string;
  stderr?: string;
  /** Stays this long before it ends. Milliseconds. */
  holdMs?: number;
  /** Takes no notice of SIGTERM. */
  stubborn?: boolean;
  /** Ends by this signal instead of an exit status. */
  signal?: 'SIGKILL';
  exitCode?: number;
}

export interface ExecUnderTest {
  exec: Exec;
  /** Makes a program that behaves so. @returns what to give to `run` */
  install: (behaviour: Behaviour) => Promise<string>;
  /** Whether the program is running now. */
  isRunning: (program: string) => Promise<boolean>;
}

const timeoutMs = 10_000;

/** What every Exec keeps, the real one and the simulated one. */
export function execContract(name: string, make: () => Promise<ExecUnderTest>): void {
  describe(`${name} keeps the contract of Exec`, () => {
    it('gives back what a command printed, to the byte, and its exit status', async () => {
      const { exec, install } = await make();
      const program = await install({ stdout: '\n grüße\n\n', stderr: 'oh\n', exitCode: 0 });
      expect(await exec.run(program, [], { timeoutMs })).toEqual({
        exitCode: 0,
        stdout: '\n grüße\n\n',
        stderr: 'oh\n',
      });
    });

    it('takes a non-zero exit status as an answer, not as an error', async () => {
      const { exec, install } = await make();
      const program = await install({ stdout: 'inactive\n', exitCode: 3 });
      expect(await exec.run(program, [], { timeoutMs })).toMatchObject({ exitCode: 3, stdout: 'inactive\n' });
    });

    it('says COMMAND_NOT_FOUND for a program that is not there', async () => {
      const { exec } = await make();
      await expect(exec.run('/nowhere/no-such-program', [], { timeoutMs })).rejects.toMatchObject({
        code: 'COMMAND_NOT_FOUND',
      });
    });

    it('kills a command that takes too long and says COMMAND_TIMEOUT', async () => {
      const { exec, install, isRunning } = await make();
      const program = await install({ holdMs: 60_000 });
      await expect(exec.run(program, [], { timeoutMs: 100 })).rejects.toMatchObject({
        code: 'COMMAND_TIMEOUT',
      });
      expect(await isRunning(program)).toBe(false);
    });

    it('kills a command that does not listen to SIGTERM', async () => {
      const { exec, install, isRunning } = await make();
      const program = await install({ holdMs: 60_000, stubborn: true });
      await expect(exec.run(program, [], { timeoutMs: 200 })).rejects.toMatchObject({
        code: 'COMMAND_TIMEOUT',
      });
      expect(await isRunning(program)).toBe(false);
    });

    it('says COMMAND_FAILED for a command that was killed by a signal', async () => {
      const { exec, install } = await make();
      const program = await install({ stdout: 'half an ans', signal: 'SIGKILL' });
      await expect(exec.run(program, [], { timeoutMs })).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    });

    it('says COMMAND_FAILED for a command that prints too much, even if it ends well', async () => {
      const { exec, install } = await make();
      const program = await install({ stdout: 'ü'.repeat(600), exitCode: 0 });
      await expect(exec.run(program, [], { timeoutMs, maxBytes: 1000 })).rejects.toMatchObject({
        code: 'COMMAND_FAILED',
      });
      await expect(exec.run(program, [], { timeoutMs, maxBytes: 1200 })).resolves.toMatchObject({
        exitCode: 0,
      });
    });

    it('rejects with the reason of its signal, and the child is gone', async () => {
      const { exec, install, isRunning } = await make();
      const program = await install({ holdMs: 60_000 });
      const controller = new AbortController();
      const outcome = exec.run(program, [], { timeoutMs, signal: controller.signal });
      const reason = new Error('asked to stop');
      controller.abort(reason);
      await expect(outcome).rejects.toBe(reason);
      expect(await isRunning(program)).toBe(false);
    });

    it('starts nothing when its signal has aborted already', async () => {
      const { exec } = await make();
      const reason = new Error('too late');
      const outcome = exec.run('/nowhere/no-such-program', [], {
        timeoutMs,
        signal: AbortSignal.abort(reason),
      });
      await expect(outcome).rejects.toBe(reason);
    });

    it('gives the lines of a long-lived program in order, the last one also without its newline', async () => {
      const { exec, install } = await make();
      const program = await install({ stdout: 'one\n\ntwo\nthree', exitCode: 4 });
      const seen: string[] = [];
      const { ended } = exec.lines(program, [], (line) => seen.push(line));
      expect((await ended).exitCode).toBe(4);
      expect(seen).toEqual(['one', '', 'two', 'three']);
    });

    it('gives no line after it was stopped, also none that came together with the last one', async () => {
      const { exec, install } = await make();
      const program = await install({ stdout: 'one\ntwo\nthree', holdMs: 60_000 });
      const seen: string[] = [];
      const running = exec.lines(program, [], (line) => {
        seen.push(line);
        running.stop();
      });
      await running.ended;
      expect(seen).toEqual(['one']);
    });

    it('gives a line while the program still runs, and stops the program on request, as often as asked', async () => {
      const { exec, install, isRunning } = await make();
      const program = await install({ stdout: 'up\n', holdMs: 60_000 });
      let running: ReturnType<Exec['lines']> | undefined;
      const line = await new Promise<string>((resolve) => {
        running = exec.lines(program, [], resolve);
      });
      expect(line).toBe('up');
      running?.stop();
      running?.stop();
      expect((await running?.ended)?.reason).toBe('stopped');
      expect(await isRunning(program)).toBe(false);
      running?.stop();
    });

    it('says in `ended` that a long-lived program could not be started', async () => {
      const { exec } = await make();
      const { ended } = exec.lines('/nowhere/no-such-program', [], () => {});
      expect(await ended).toEqual({ exitCode: undefined, reason: expect.stringContaining('ENOENT') });
    });
  });
}
