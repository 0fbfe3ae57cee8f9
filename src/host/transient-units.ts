import { RlnetError } from '../protocol/errors.ts';
import { fixedEnv, timedOut } from './exec.ts';
import type { Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';

/** How long systemd waits for what is over to end before it kills it, and then for what was killed. Seconds. */
const stopSeconds = 1;

/** A unit that nobody waits for any more ends by itself this much after its time. Milliseconds. */
const marginMs = 5_000;

/**
 * Runs programs that are not ours (rladmin, hooks) outside of the sandbox of our own unit: as transient units, with all that a program
 * expects of a host. 40 ms more than without; systemd.exec(5) and systemd-run(1) have the words.
 *
 * What it was to do for us must not happen after us: rlnet.service stops the units of these names when the agent ends, however that is.
 * Not by `BindsTo=`, which would start them again, and so run a command twice, when our unit is restarted.
 */
export function inTransientUnits(exec: Exec, files: Files): Pick<Exec, 'run'> {
  let started = 0;
  return {
    async run(file, args, options) {
      // What is not there is told as it is everywhere; systemd has words of its own for it.
      if (file.includes('/') && (await files.mode(file)) === undefined) return exec.run(file, args, options);
      started += 1;
      const unit = `rlnet-run-${process.pid}-${started}.service`;
      const properties = [
        // Of its start and end nothing is said, so that a command every few seconds does not fill the journal.
        'LogLevelMax=warning',
        `TimeoutStopSec=${stopSeconds}`,
        `RuntimeMaxSec=${options.timeoutMs + marginMs}ms`,
      ];
      const command = [
        ...['--quiet', '--collect', '--wait', '--pipe', '--service-type=exec', `--unit=${unit}`],
        ...properties.map((property) => `--property=${property}`),
        ...Object.entries({ ...fixedEnv, ...options.env }).map(
          ([name, value]) => `--setenv=${name}=${value}`,
        ),
        ...['--', file, ...args],
      ];
      const { env: _ours, ...bounds } = options;
      try {
        return await exec.run('systemd-run', command, bounds);
      } catch (thrown) {
        // What was killed is systemd-run, which only waits. It is told of once, and by what went wrong first.
        await exec
          .run('systemctl', ['stop', unit], { timeoutMs: 2 * stopSeconds * 1000 + marginMs })
          .catch(() => {});
        if (thrown instanceof RlnetError && thrown.code === 'COMMAND_TIMEOUT')
          throw timedOut(file, args, options.timeoutMs);
        throw thrown;
      }
    },
  };
}
