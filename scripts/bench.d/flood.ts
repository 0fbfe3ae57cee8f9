/**
 * What attacks leave behind in memory. An agent's mesh in a process of its own, linked to another one here, is attacked again and again alike,
 * from here: every attack of test/support/flood.ts, and connections that are opened by the hundred and let go of. Strangers without a
 * certificate and a holder of one are told apart, each with a fresh victim. Garbage is collected before each reading, and the attacker's own
 * memory does not count. The first flood fills what is kept once (compiled code, TLS, counters by code); the second should add nothing.
 *
 *   scripts/bench flood [CONNECTIONS [FLOODS]]
 *
 * The victim runs with the options that the release runs with (packaging/rlnet): a young generation of the heap that may grow to many MB
 * would hide what is kept.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { TlsMaterial } from '../../src/agent/mesh/transport.ts';
import { createClock } from '../../src/host/clock.ts';
import { parseAddress } from '../../src/protocol/address.ts';
import { createAuthority } from '../../test/support/agents.ts';
import {
  type Attack,
  insideAttacks,
  type Origin,
  outsideAttacks,
  tcp,
  tls,
  type Wire,
  webSocket,
} from '../../test/support/flood.ts';
import { silentLog, startMember } from '../../test/support/member.ts';

const port = 19498;
const victimAddress = parseAddress('127.0.96.41');
const friendAddress = parseAddress('127.0.96.42');
const connections = Number(process.argv[2] ?? 3_000);
const floods = Number(process.argv[3] ?? 2);
/** Connections that are opened at a time. */
const batch = 100;
const wantedMb = 5;

interface Reading {
  rss: number;
  heapUsed: number;
  refusals: Record<string, number>;
}

if (process.send !== undefined) await beVictim();
else {
  const anonymous = (origin: Origin): Promise<Wire> => tls(origin, false);
  await attackWith({ name: 'Strangers', attacks: outsideAttacks, stages: [tcp, anonymous] });
  await attackWith({ name: 'A holder of a certificate', attacks: insideAttacks, stages: [webSocket] });
}

async function beVictim(): Promise<void> {
  const [material] = (await once(process, 'message')) as [Omit<TlsMaterial, 'deniedSerials'>];
  const { mesh } = startMember({
    tls: { ...material, deniedSerials: new Set() },
    address: victimAddress,
    port,
    peers: [friendAddress],
    log: silentLog,
  });
  process.on('message', () => {
    void readMemory().then((reading) =>
      process.send?.({ ...reading, refusals: mesh.refusals() } satisfies Reading),
    );
  });
  process.once('disconnect', () => process.exit());
  process.send?.('started');
}

async function readMemory(): Promise<{ rss: number; heapUsed: number }> {
  // Twice: what a finaliser lets go of is garbage of the next one.
  for (let round = 0; round < 2; round += 1) {
    globalThis.gc?.();
    await pause(200);
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heapUsed };
}

interface Attacker {
  name: string;
  attacks: readonly Attack[];
  /** How far its other connections go before they are let go of. */
  stages: readonly ((origin: Origin) => Promise<Wire>)[];
}

async function attackWith({ name, attacks, stages }: Attacker): Promise<void> {
  const demo = await createAuthority('demo', createClock().wall());
  const child = fork(import.meta.filename, { execArgv: ['--expose-gc', '--max-semi-space-size=1'] });
  const stop = (): void => {
    child.kill();
    process.exit(130);
  };
  process.once('SIGINT', stop);
  const { deniedSerials: _, ...material } = await demo('n1');
  child.send(material);
  await once(child, 'message');
  const friend = startMember({
    tls: await demo('n2'),
    address: friendAddress,
    port,
    peers: [victimAddress],
    log: silentLog,
    watched: ['n1'],
  });
  const read = async (): Promise<Reading> => {
    const answer = once(child, 'message');
    child.send('read');
    return ((await answer) as [Reading])[0];
  };
  const show = (when: string, { rss, heapUsed }: Reading): void => {
    process.stdout.write(`  ${when.padEnd(22)} RSS ${mb(rss)} MB   heap used ${mb(heapUsed)} MB\n`);
  };
  try {
    // Each has an address and a certificate of its own.
    const attackers = await Promise.all(
      attacks.map(async ({ run }, index) => ({
        run,
        origin: { ...targetFrom(index + 1), tls: await demo(`x${index}`) },
      })),
    );
    const own = await demo('flooder');
    const flood = async (): Promise<void> => {
      await Promise.all(attackers.map(({ run, origin }) => run(origin)));
      for (let count = 0; count < connections; count += batch) {
        const wires = await Promise.all(
          Array.from({ length: batch }, (_each, index) =>
            (stages[index % stages.length] ?? tcp)({ ...targetFrom(100 + (index % 8)), tls: own }),
          ),
        );
        for (const { socket } of wires) socket.destroy();
      }
      // Handshakes that are under way end after five seconds.
      await pause(7_000);
    };
    await pause(5_000);
    process.stdout.write(`${name}, ${connections} connections and ${attacks.length} attacks a flood\n`);
    show('before', await read());
    const readings: Reading[] = [];
    while (readings.length < floods) {
      await flood();
      const reading = await read();
      readings.push(reading);
      show(`after flood ${readings.length}`, reading);
    }
    const [first, second] = readings;
    const growth = ((second?.rss ?? Number.NaN) - (first?.rss ?? Number.NaN)) / 1024 / 1024;
    process.stdout.write(
      `  second less first      RSS ${growth.toFixed(1).padStart(6)} MB (wanted: < ${wantedMb})\n` +
        `  refused                ${JSON.stringify(readings.at(-1)?.refusals)}\n` +
        `  the other member saw   ${friend.transitions.join(', ')}\n`,
    );
    if (!(growth < wantedMb)) process.exitCode = 1;
  } finally {
    process.off('SIGINT', stop);
    await friend.mesh.close('the benchmark is over');
    child.disconnect();
  }
}

function mb(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1).padStart(6);
}

function targetFrom(last: number): Omit<Origin, 'tls'> {
  return { from: `127.0.97.${last}`, to: { address: victimAddress, port } };
}
