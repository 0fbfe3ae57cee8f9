import * as v from 'valibot';
import { expect, test } from 'vitest';
import { decodeJournal } from '../../src/agent/renumbering/journal-text.ts';
import { Reporter } from '../../src/agent/report/reporter.ts';
import { Spool } from '../../src/agent/report/spool.ts';
import { snapshotSchema } from '../../src/protocol/reporting.ts';
import { recordLog } from '../support/agents.ts';
import { exampleView } from '../support/example-view.ts';
import { full, sampleOf } from '../support/sampling.ts';
import { type CollectorMode, SimCollector } from '../support/sim/collector.ts';
import { Kernel } from '../support/sim/kernel.ts';
import type { SimProcess } from '../support/sim/process.ts';
import { createSimRandom } from '../support/sim/random.ts';
import { RenumberingCluster } from '../support/sim/renumbering/cluster.ts';

/** The real reporter, spool, journals and collector on virtual time, while a node is renumbered and everything else goes wrong. */

const [exampleState] = exampleView().hosts.flatMap(({ state }) => state ?? []);
const snapshot = v.parse(snapshotSchema, { state: exampleState, links: [] });
const minuteMs = 60_000;
/** Each host has something to tell so often, milliseconds. */
const tellEveryMs = 7_000;

interface Played {
  /** Of the renumbering of node 2, from its first record to its last; virtual milliseconds. */
  tookMs: number;
  collector: SimCollector;
  /** What each boot of each host has told, as `HOST boot:ID` and how much of it. */
  told: Map<string, number>;
  /** The journal of the renumbering as it is on the disk of its host. */
  journal: readonly { type: string }[];
}

/** Node 2 is renumbered, restart and all, over two hours; the collector is like this from one time to the next. */
async function play(
  seed: string,
  modes: readonly (readonly [mode: CollectorMode, minutes: number])[],
  kills = 0,
): Promise<Played> {
  const kernel = new Kernel(seed);
  const cluster = new RenumberingCluster(kernel, 3);
  const collector = new SimCollector(kernel);
  const told = new Map<string, number>();
  const reporters = new Map<SimProcess, Reporter>();
  cluster.onGrowth = (process, planId) => reporters.get(process)?.journalGrew(planId);
  cluster.onRun = (host, process, renumberings) => {
    void (async () => {
      const files = host.files(process);
      const bootId = (await files.read('/proc/sys/kernel/random/boot_id')).trim();
      const spool = await Spool.open(files, '/var/lib/rlnet/spool', bootId);
      const reporter = new Reporter({
        clock: process.clock,
        random: createSimRandom(kernel.random.split(`${process.name}/report`)),
        connector: collector.connectorOf(host.name, process),
        spool,
        journals: {
          list: async () => (await renumberings.history()).map(({ planId }) => planId),
          recordsOf: (planId) => renumberings.recordsOf(planId),
        },
        bootId,
        version: '0.1.0',
        snapshot: () => snapshot,
        log: recordLog(),
        changed: () => {},
      });
      reporters.set(process, reporter);
      const stream = `${host.name} boot:${bootId}`;
      const tell = (): void => {
        // What is on the disk has been told; what a crash takes with it before that has not.
        reporter.event('tick', {});
        void spool.settled().then(() => {
          if (process.isAlive) told.set(stream, (told.get(stream) ?? 0) + 1);
        });
        process.clock.after(tellEveryMs, tell);
      };
      tell();
    })();
  };
  cluster.powerOn();
  await kernel.run(30_000);
  const plan = cluster.plan(2);
  const started = kernel.now;
  let endedAt: number | undefined;
  cluster.onRecord = (_plan, record) => {
    if (record.type === 'closed') endedAt = kernel.now;
  };
  // Not waited for: only the kernel's time goes on in here.
  void cluster.agent('n2').running?.start(plan);
  for (const [mode, minutes] of modes) {
    collector.become(mode);
    collector.clockOffMs = mode === 'gone' ? 365 * 86_400_000 : 0;
    for (let kill = 0; kill < kills; kill += 1) {
      await kernel.run((minutes * minuteMs) / (kills + 1));
      cluster.agent('n3').kill();
    }
    await kernel.run((minutes * minuteMs) / (kills + 1));
  }
  collector.become('up');
  await kernel.run(5 * minuteMs);
  if (endedAt === undefined) throw new Error('the renumbering has not ended');
  const path = `/var/lib/rlnet/${plan.id}.ndjson`;
  const text = new TextDecoder().decode(cluster.host('n2').disk.read(path));
  return { tookMs: endedAt - started, collector, told, journal: decodeJournal(text, path).records };
}

const rowsOf = ({ collector }: Played, host: string, stream: string) =>
  collector.database.events({ host, stream, after: 0, limit: 100_000 });

/** Everything that was told, of every boot, is there once and in order. */
function expectWhole(played: Played): void {
  for (const [name, count] of played.told) {
    const [host = '', stream = ''] = name.split(' ');
    const numbers = rowsOf(played, host, stream).map(({ n }) => n);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(numbers.length).toBeGreaterThanOrEqual(count);
  }
  const records = rowsOf(played, 'n2', 'journal:000000000002').map(
    ({ data }) => (JSON.parse(data) as { record: unknown }).record,
  );
  expect(records).toEqual(JSON.parse(JSON.stringify(played.journal)));
  expect(played.journal.at(-1)?.type).toBe('closed');
  expect(played.collector.database.lost()).toBe(0);
}

const troubles: readonly (readonly [CollectorMode, number])[] = [
  ['up', 0.5],
  ['gone', 60],
  ['busy', 5],
  ['broken', 5],
  ['garbles', 5],
  ['silent', 5],
  ['full', 5],
  ['up', 1],
  ['garbles', 2],
  ['full', 2],
];

test.each(sampleOf(full ? ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] : ['a', 'b'], 2))(
  'every record of a renumbering and every event is there once and in order after a collector was gone for an hour, full, busy, broken, silent and garbled, over a restart of the node (seed %s)',
  async (seed) => {
    const played = await play(seed, troubles);
    expectWhole(played);
    // Two boots of the node that was moved.
    expect([...played.told.keys()].filter((name) => name.startsWith('n2 '))).toHaveLength(2);
  },
);

test('and so it is where an agent is killed again and again meanwhile', async () => {
  expectWhole(await play('k', troubles, 5));
});

test.each(
  troubles.map(([mode]) => mode).filter((mode, index, all) => mode !== 'up' && all.indexOf(mode) === index),
)('a renumbering takes no longer with a collector that is %s', async (mode) => {
  const [well, ill] = [await play('t', [['up', 20]]), await play('t', [[mode, 20]])];
  // What the reporter does draws other latencies for the rest; a step that waited for it would wait for many seconds.
  expect(Math.abs(ill.tookMs - well.tookMs)).toBeLessThan(5_000);
  expectWhole(ill);
});
