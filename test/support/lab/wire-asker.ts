/**
 * Runs on a host of the lab, whose agent is stopped, and asks in its name: this host's wire, or another agent through the mesh.
 *
 *   wire-asker.ts here METHOD JSON
 *   wire-asker.ts HOST METHOD JSON UID OWN-ADDRESS ITS-ADDRESS
 *
 * Prints one line of JSON: how long the answer took, milliseconds, and the answer.
 */
import { readFileSync } from 'node:fs';
import type { Context } from '../../../src/cli/context.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createExec } from '../../../src/host/exec.ts';
import { createFiles } from '../../../src/host/files.ts';
import { createInterfaces } from '../../../src/host/interfaces.ts';
import { sleep } from '../../../src/host/ports/clock.ts';
import type { Wire } from '../../../src/host/ports/wire.ts';
import { createRandom } from '../../../src/host/random.ts';
import { createWire } from '../../../src/host/wire.ts';
import { familyOf, parseAddress } from '../../../src/protocol/address.ts';
import { meshPort } from '../../../src/protocol/messages.ts';

const [whom = '', method = '', json = '{}', uid, own = '', its = ''] = process.argv.slice(2);
const clock = createClock();
const params = JSON.parse(json) as never;

async function measured(work: () => Promise<unknown>): Promise<void> {
  const start = clock.monotonic();
  const answer = await work();
  process.stdout.write(`${JSON.stringify({ ms: Math.round(clock.monotonic() - start), answer })}\n`);
}

if (whom === 'here') {
  const exec = createExec();
  const wire = createWire(exec, createInterfaces(exec, clock), clock);
  await measured(() => wire[method as keyof Wire](params));
} else {
  // Not to be loaded by those who need none of it.
  const [{ Mesh }, { createTransport }, { loadConfiguration }, { silentLog, stateOf }] = await Promise.all([
    import('../../../src/agent/mesh/mesh.ts'),
    import('../../../src/agent/mesh/transport.ts'),
    import('../../../src/cli/commands/config.ts'),
    import('../member.ts'),
  ]);
  const random = createRandom();
  const { tls } = await loadConfiguration({ files: createFiles() } as Context, '/etc/rlnet/agent.yaml');
  const address = parseAddress(own);
  const read = (path: string) => readFileSync(path, 'utf8').trim();
  const instance = random.id();
  const mesh = new Mesh({
    transport: createTransport(() => tls, clock),
    clock,
    random,
    log: silentLog,
    port: meshPort,
    hello: () => ({
      type: 'hello',
      protocol: { min: 1, max: 1 },
      ...tls.identity,
      version: '0.1.0',
      machineId: read('/etc/machine-id'),
      bootId: read('/proc/sys/kernel/random/boot_id'),
      instance,
      nodeUid: Number(uid),
      internalFamily: familyOf(address),
      internalAddress: address,
    }),
    state: () => stateOf(tls.identity.host, address),
    nodes: () => undefined,
    pin: () => undefined,
    request: async () => ({}),
    changed: () => {},
  });
  mesh.reconcile(address, true, familyOf(address), [parseAddress(its)]);
  const patience = clock.after(20_000, () => process.exit(1));
  while (!mesh.peers().some(({ host, linked }) => host === whom && linked)) {
    await sleep(clock, 20, new AbortController().signal);
  }
  patience.cancel();
  await measured(() => mesh.request(whom, method, params, 10_000));
  await mesh.close('answered');
}
