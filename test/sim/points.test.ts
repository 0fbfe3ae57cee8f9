import { describe, expect, it } from 'vitest';
import { SimHost } from '../support/sim/host.ts';
import { Kernel } from '../support/sim/kernel.ts';
import { SimNetwork } from '../support/sim/network.ts';
import type { PlannedFault, Point } from '../support/sim/points.ts';

/** A service that writes three lines into a journal, and after a crash goes on where it was. */

const journal = '/var/lib/journal';
const lines = ['one', 'two', 'three'];

interface Played {
  points: Point[];
  /** Faults that no point met. */
  left: number;
  /** What was found at each start. */
  found: (string | undefined)[];
  /** Lines whose writing had ended when the last run began. */
  promised: number[];
  content: string;
  starts: number;
}

async function play(faults: readonly PlannedFault[], seed = 'journal'): Promise<Played> {
  const kernel = new Kernel(seed);
  const network = new SimNetwork(kernel);
  const host = new SimHost(kernel, network, { name: 'n1', number: 1, addresses: ['192.0.2.1/24'] });
  const found: (string | undefined)[] = [];
  const promised: number[] = [];
  let done = 0;
  host.install('writer', {
    restartMs: 100,
    start(process, on) {
      const files = on.files(process);
      void (async () => {
        const before = await files.readIfExists(journal);
        found.push(before);
        promised.push(done);
        if (before === undefined) await files.create(journal, '', 0o600);
        const whole = (before ?? '').slice(0, (before ?? '').lastIndexOf('\n') + 1);
        // Torn: the last line, which nobody was promised.
        if (before !== undefined && whole !== before) await files.writeAtomic(journal, whole, 0o600);
        for (const line of lines.slice(whole.split('\n').length - 1)) {
          await files.append(journal, `${line}\n`);
          done += 1;
        }
      })();
    },
  });
  host.points.plan(() => true, faults);
  host.powerOn();
  await kernel.run(60_000);
  const content = new TextDecoder().decode(host.disk.read(journal));
  const { passed, left } = host.points;
  return { points: [...passed], left, found, promised, content, starts: found.length };
}

const all = await play([]);
const kinds: ((at: number) => PlannedFault)[] = [
  (at) => ({ at, kind: 'kill' }),
  (at) => ({ at, kind: 'power', lastsMs: 1_000 }),
];

describe('the points of a run', () => {
  it('are a before, a written and an after for each durable write, in order', () => {
    const of = (what: string) => ['before', 'written', 'after'].map((when) => `${what} ${when}`);
    expect(all.points.map(({ what, when }) => `${what} ${when}`)).toEqual([
      ...of(`create ${journal}`),
      ...lines.flatMap(() => of(`append ${journal}`)),
    ]);
    expect(all.content).toBe('one\ntwo\nthree\n');
  });

  it('are the same again up to the fault', async () => {
    for (const at of all.points.keys()) {
      const { points } = await play([{ at, kind: 'kill' }]);
      expect(points.slice(0, at + 1)).toEqual(all.points.slice(0, at + 1));
    }
  });

  it('each leave what was promised whole, and at most a part of the next line, whether the process or the power goes', async () => {
    const seen = new Set<string>();
    for (const fault of kinds) {
      for (const at of all.points.keys()) {
        for (const seed of ['a', 'b', 'c', 'd']) {
          const { content, found, promised, left, starts } = await play([fault(at)], seed);
          expect([left, starts]).toEqual([0, 2]);
          expect(content).toBe('one\ntwo\nthree\n');
          const [kept, last] = [promised[1] ?? 0, found[1] ?? ''];
          const sure = lines
            .slice(0, kept)
            .map((line) => `${line}\n`)
            .join('');
          expect(last.startsWith(sure)).toBe(true);
          const rest = last.slice(sure.length);
          // A sector that did not arrive reads as zeros where the length did.
          if (rest !== '') expect([`${lines[kept]}\n`, '\0'.repeat(rest.length)]).toContain(rest);
          seen.add(rest === '' ? 'nothing more' : 'more');
        }
      }
    }
    expect(seen).toEqual(new Set(['nothing more', 'more']));
  });

  it('may be met by a second fault, counted from the first', async () => {
    for (const first of all.points.keys()) {
      const { content, left, starts } = await play([
        { at: first, kind: 'power', lastsMs: 500 },
        { at: 1, kind: 'kill' },
      ]);
      // After the last line there is nothing left to do, and no second point.
      const [met, ran] = first >= all.points.length - 2 ? [1, 2] : [0, 3];
      expect([left, starts]).toEqual([met, ran]);
      expect(content).toBe('one\ntwo\nthree\n');
    }
  });

  it('do not end a process where the host is only cut off', async () => {
    const { content, starts } = await play([{ at: 4, kind: 'cut', lastsMs: 1_000 }]);
    expect([content, starts]).toEqual(['one\ntwo\nthree\n', 1]);
  });
});

it('a command has a point before it acts, and one when it has acted and nobody knows yet', async () => {
  const outcome = async (faults: readonly PlannedFault[]): Promise<{ acted: boolean; known: boolean }> => {
    const kernel = new Kernel('command');
    const network = new SimNetwork(kernel);
    const host = new SimHost(kernel, network, { name: 'n1', number: 1, addresses: ['192.0.2.1/24'] });
    host.powerOn();
    await kernel.run(5_000);
    host.points.plan(({ what }) => what.startsWith('rladmin'), faults);
    const seen = { acted: false, known: false };
    const process = host.spawn('p');
    void host
      .command(process, 'rladmin node 2 addr set', { low: 100, high: 900 }, () => {
        seen.acted = true;
      })
      .then(() => {
        seen.known = true;
      });
    await kernel.run(2_000);
    return seen;
  };
  expect(await outcome([])).toEqual({ acted: true, known: true });
  expect(await outcome([{ at: 0, kind: 'kill' }])).toEqual({ acted: false, known: false });
  expect(await outcome([{ at: 1, kind: 'kill' }])).toEqual({ acted: true, known: false });
});
