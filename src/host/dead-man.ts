import { RlnetError } from '../protocol/errors.ts';
import { type DirectionWord, directionWords } from '../protocol/renumbering/dead-man.ts';
import type { Plan } from '../protocol/renumbering/plan.ts';
import { type DeadManPaths, renderDeadMan } from './dead-man-script.ts';
import type { DeadMan } from './ports/dead-man.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import { isEnabledOnDisk, showUnit } from './systemctl.ts';
import { syncDirectories } from './unit-links.ts';
import { configuredUnits } from './unit-record.ts';

const timer = 'rlnet-dead-man.timer';
/** Of the disk, kept for the way back: a mark, a journal's last lines, some files of the network configuration. A file system that compresses keeps less. Bytes. */
const roomBytes = 256 * 1024;
const timeoutMs = 60_000;

/**
 * The real dead man: a script beside a word in a directory, and a timer that the package brings, which does nothing where there
 * is no script. It needs neither the agent nor Node.js.
 *
 * @param options.backupDirectory of a plan; where the owner's files are backed up
 */
export function createDeadMan(options: {
  exec: Pick<Exec, 'run'>;
  files: Files;
  /** Where the package's units look for the script. */
  directory: string;
  /** Where changes of the kernel's addresses stand. */
  changeDirectory: string;
  backupDirectory: (plan: Plan) => string;
}): DeadMan {
  const { exec, files, directory, changeDirectory, backupDirectory } = options;
  const script = `${directory}/script`;
  const wordFile = `${directory}/word`;
  const mark = `${directory}/taken-over`;
  const finished = `${directory}/finished`;
  const room = `${directory}/room`;

  const paths = (plan: Plan): DeadManPaths => ({
    directory,
    backup: backupDirectory(plan),
    change: changeDirectory,
  });
  const systemctl = async (...args: string[]): Promise<void> => {
    const result = await exec.run('systemctl', ['--no-ask-password', ...args], { timeoutMs });
    if (result.exitCode === 0) return;
    throw commandFailed(`systemctl ${args.join(' ')}`, result, `Look at systemctl status ${timer}.`);
  };
  /** Whether it runs, and will after a boot. */
  const runs = async (): Promise<boolean> => {
    const [shown, enabled] = await Promise.all([
      showUnit(exec as Exec, ['ActiveState'], timer),
      isEnabledOnDisk(exec, timer),
    ]);
    return shown.filled('ActiveState') === 'active' && enabled;
  };
  const readWord = async (path: string): Promise<DirectionWord | undefined> => {
    const text = (await files.readIfExists(path))?.trim();
    return directionWords.find((word) => word === text);
  };

  return {
    arm: async (plan) => {
      const text = renderDeadMan(plan, paths(plan));
      await files.makeDirectory(directory, 0o700);
      // Of a renumbering before, whose end did not take everything away.
      for (const path of [script, mark, finished]) await files.remove(path);
      await files.writeAtomic(room, '.'.repeat(roomBytes), 0o600);
      await files.writeAtomic(wordFile, 'old\n', 0o600);
      await files.writeAtomic(script, text, 0o700);
      const checked = await exec.run('sh', ['-n', script], { timeoutMs });
      if (checked.exitCode !== 0) {
        await files.remove(script);
        throw failed(`sh does not take the script: ${checked.stderr.trim()}`);
      }
      // For the next boot alone, which reads all units anew; systemd would do so now, for some tenths of a second.
      await systemctl('--no-reload', 'enable', timer);
      await systemctl('restart', timer);
      // Nothing but the link: a whole machine's sync waits for everything that a database has written.
      await syncDirectories([`${configuredUnits}/timers.target.wants`, configuredUnits]);
      if (!(await runs())) throw failed(`${timer} does not run though it was started`);
    },
    postpone: async () => {
      const armed = (await files.readIfExists(script)) !== undefined;
      if (armed && (await readWord(mark)) === undefined) await systemctl('restart', timer);
    },
    isArmed: async (plan) => {
      const text = await files.readIfExists(script);
      return (
        text === renderDeadMan(plan, paths(plan)) &&
        (await readWord(wordFile)) !== undefined &&
        (await runs())
      );
    },
    setWord: async (word) => {
      if ((await files.readIfExists(script)) !== undefined)
        await files.writeAtomic(wordFile, `${word}\n`, 0o600);
    },
    // A mark that a crash left behind its script is none of the next renumbering.
    takenOver: async () => ((await files.readIfExists(script)) === undefined ? undefined : readWord(mark)),
    isDisarmed: async () => (await files.readIfExists(script)) === undefined,
    disarm: async () => {
      const armed = (await files.readIfExists(script)) !== undefined;
      // First: without it no timer of any boot does anything.
      for (const path of [script, wordFile, mark, finished, room]) await files.remove(path);
      // Of an agent that died in the middle of a write.
      const temporary = (await files.list(directory)).filter((name) => name.endsWith('.tmp'));
      for (const name of temporary) await files.remove(`${directory}/${name}`);
      if (!armed) return;
      await systemctl('stop', timer);
    },
  };
}

function failed(why: string): RlnetError {
  return new RlnetError(
    'DEAD_MAN_FAILED',
    `The dead man could not be armed: ${why}.`,
    `Look at systemctl status ${timer}, and whether the package of rlnet is whole.`,
  );
}
