import type { DeadMan } from '../../../../src/host/ports/dead-man.ts';
import type { Files } from '../../../../src/host/ports/files.ts';
import {
  type DirectionWord,
  deadManSeconds,
  directionWords,
} from '../../../../src/protocol/renumbering/dead-man.ts';
import type { Plan } from '../../../../src/protocol/renumbering/plan.ts';
import { ownerFile, rsUnit, type SimHost } from '../host.ts';
import type { Kernel } from '../kernel.ts';
import type { SimProcess } from '../process.ts';

/** systemd runs a script that failed again after so long. */
const retryMs = 10_000;
/** How often its timer is looked at: seconds do not matter here. */
const lookMs = 5_000;

const directory = '/var/lib/rlnet/dead-man';
const script = `${directory}/script`;
const wordFile = `${directory}/word`;
const mark = `${directory}/taken-over`;
const finished = `${directory}/finished`;

/**
 * The twin of the dead man's timer and script: a program of the host that needs no agent. It reads what is on the disk, and every
 * one of its acts is a crash point.
 */
export class SimDeadMan {
  readonly #kernel: Kernel;
  readonly #host: SimHost;
  readonly #agent: string;
  /** Milliseconds of boot time at which it acts. */
  #deadline: number | undefined;
  /** The boot in which it was through with both addresses: only the kernel has the second one, and the next boot forgets it. */
  bothInBoot: string | undefined;
  /** How often it acted, and how often so while the agent was there and stalled. */
  acted = 0;
  /** When it did so last, milliseconds of boot time. */
  actedAt: number | undefined;
  actedOnStalled = 0;

  constructor(kernel: Kernel, host: SimHost, agent: string) {
    this.#kernel = kernel;
    this.#host = host;
    this.#agent = agent;
    host.install('dead-man', { restartMs: 1_000, start: (process) => this.#wait(process) });
  }

  /** What the agent sees of it. */
  port(process: SimProcess): DeadMan {
    const files = this.#host.files(process);
    const postpone = (): void => {
      if (this.#deadline !== undefined) this.#deadline = this.#host.boottime() + deadManSeconds * 1000;
    };
    return {
      arm: async (plan) => {
        await files.makeDirectory(directory, 0o700);
        for (const path of [script, mark, finished]) await files.remove(path);
        await files.writeAtomic(wordFile, 'old', 0o600);
        await files.writeAtomic(script, JSON.stringify(plan), 0o700);
        await this.#host.command(
          process,
          'systemctl start rlnet-dead-man.timer',
          { low: 5, high: 20 },
          () => {
            this.#deadline = this.#host.boottime() + deadManSeconds * 1000;
          },
        );
      },
      postpone: () => process.call(5, 'postpones the dead man', postpone),
      isArmed: async (plan) => {
        const text = await files.readIfExists(script);
        return (
          this.#deadline !== undefined && text !== undefined && (JSON.parse(text) as Plan).id === plan.id
        );
      },
      setWord: async (word) => {
        if ((await files.readIfExists(script)) !== undefined) await files.writeAtomic(wordFile, word, 0o600);
      },
      takenOver: async () =>
        (await files.readIfExists(script)) === undefined ? undefined : readWord(files, mark),
      isDisarmed: async () => (await files.readIfExists(script)) === undefined,
      disarm: async () => {
        // First: without it no timer of any boot does anything.
        for (const path of [script, wordFile, mark, finished]) await files.remove(path);
        await this.#host.command(process, 'systemctl stop rlnet-dead-man.timer', { low: 5, high: 20 }, () => {
          this.#deadline = undefined;
        });
      },
    };
  }

  /** Started at each boot, by a unit that does nothing where no script is there. */
  #wait(process: SimProcess): void {
    const files = this.#host.files(process);
    void (async () => {
      const armed = await files.readIfExists(script);
      this.#deadline = armed === undefined ? undefined : this.#host.boottime() + deadManSeconds * 1000;
      const look = (): void => {
        process.clock.after(lookMs, look);
        if (this.#deadline === undefined || this.#host.boottime() < this.#deadline) return;
        this.#deadline = undefined;
        this.#act(process, files).catch((thrown: unknown) => {
          this.#kernel.note(process.name, `the dead man failed and tries again: ${String(thrown)}`);
          this.#deadline = this.#host.boottime() + retryMs;
        });
      };
      look();
    })();
  }

  async #act(process: SimProcess, files: Files): Promise<void> {
    const text = await files.readIfExists(script);
    if (text === undefined || (await files.readIfExists(finished)) !== undefined) return;
    const plan = JSON.parse(text) as Plan;
    this.#kernel.note(process.name, 'the dead man acts');
    this.acted += 1;
    this.actedAt = this.#host.boottime();
    const agent = this.#host.process(this.#agent);
    if (agent !== undefined && !agent.isRunning) this.actedOnStalled += 1;
    const word = (await readWord(files, mark)) ?? (await readWord(files, wordFile)) ?? 'old';
    if ((await files.readIfExists(mark)) === undefined) await files.create(mark, word, 0o600);
    const run = (what: string, act: () => void): Promise<void> =>
      this.#host.command(process, `dead man: ${what}`, { low: 5, high: 50 }, act);
    await run('ends the agent', () => this.#host.process(this.#agent)?.exit());
    const { from, to } = plan.change;
    if (word === 'old' && plan.kind !== 'already_bound') {
      const original = await files.readIfExists(`/var/lib/rlnet/backup-${plan.id}/original`);
      if (original !== undefined) await files.writeAtomic(ownerFile('eth0'), original, 0o644);
    }
    const has = (address: string): boolean =>
      this.#host.interfaces.links.some((link) => link.addresses.some((bound) => bound.address === address));
    const moves = plan.kind !== 'already_bound';
    for (const [wanted, other] of !moves
      ? []
      : [
          ...(word === 'new' ? [] : [[from, to] as const]),
          ...(word === 'old' ? [] : [[to, from] as const]),
        ]) {
      await run(`ip addr replace ${wanted.address}`, () => {
        if (!has(wanted.address)) this.#host.interfaces.add('eth0', wanted);
      });
      if (word !== 'both') {
        await run(`ip addr del ${other.address}`, () => {
          if (has(other.address)) this.#host.interfaces.remove('eth0', other.address);
        });
      }
    }
    await run('systemctl enable', () => {
      this.#host.setEnabled(rsUnit, true);
      this.#host.disk.syncAll();
    });
    await run('systemctl start', () => this.#host.startUnit(rsUnit));
    // Before that is noted: the power may go right after it.
    if (word === 'both') this.bothInBoot = this.#host.bootId;
    await files.create(finished, '', 0o600);
  }
}

async function readWord(files: Files, path: string): Promise<DirectionWord | undefined> {
  const text = (await files.readIfExists(path))?.trim();
  return directionWords.find((word) => word === text);
}
