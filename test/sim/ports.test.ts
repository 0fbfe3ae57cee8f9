import { onTestFinished } from 'vitest';
import { type Address, parseAddress } from '../../src/protocol/address.ts';
import { clockContract } from '../support/contracts/clock.ts';
import { filesContract } from '../support/contracts/files.ts';
import { type Papers, transportContract, usualPapers } from '../support/contracts/transport.ts';
import { unitControlContract } from '../support/contracts/unit-control.ts';
import { SimDisk } from '../support/sim/disk.ts';
import { createSimFiles } from '../support/sim/files.ts';
import { SimHost } from '../support/sim/host.ts';
import { Kernel } from '../support/sim/kernel.ts';
import { SimNetwork } from '../support/sim/network.ts';
import { SimProcess } from '../support/sim/process.ts';
import { createSimTransport, type SimTls } from '../support/sim/transport.ts';
import { createSimUnitControl } from '../support/sim/unit-control.ts';

/** The twins keep what the real ports keep: the same tests, pointed at a simulation. */

function start(): { kernel: Kernel; process: SimProcess } {
  const kernel = new Kernel('contract');
  const epoch = Date.UTC(2026, 0, 1);
  const clocks = { wall: () => epoch + kernel.now, monotonic: () => kernel.now };
  return { kernel, process: new SimProcess(kernel, 'process', clocks) };
}

clockContract('the simulated clock', () => {
  const { kernel, process } = start();
  return { clock: process.clock, pass: (ms) => kernel.run(ms + 1) };
});

filesContract('the simulated file system', async () => {
  const { kernel, process } = start();
  const disk = new SimDisk();
  disk.makeDirectory('/work', 0o755);
  onTestFinished(kernel.runInBackground());
  return {
    files: createSimFiles(process, () => disk),
    root: '/work',
    list: async (path) => disk.list(path),
  };
});

transportContract('the simulated transport', async () => {
  const kernel = new Kernel('contract');
  const network = new SimNetwork(kernel);
  const port = 9470;
  const addressOf = (number: number): Address => parseAddress(`192.0.2.${number}`);
  let hosts = 0;
  let serials = 0;

  const tlsOf = ({ host, cluster, ownCluster, signedBy, trusts, certificate, denies }: Papers): SimTls => ({
    identity: { cluster: ownCluster, host },
    certificate:
      certificate === 'none'
        ? undefined
        : {
            identity: certificate === 'names no host' ? undefined : { cluster, host },
            authority: signedBy,
            serial: `${host}0${++serials}`.toUpperCase(),
            validFrom: 0,
            validTo: certificate === 'expired' ? 1 : Number.POSITIVE_INFINITY,
          },
    authorities: trusts,
    deniedSerials: new Set(denies.map((each) => serialsShown.get(each) ?? '')),
  });
  const serialsShown = new Map<string, string>();

  const machine = (): SimHost => {
    const number = ++hosts;
    const made = new SimHost(kernel, network, {
      name: `n${number}`,
      number,
      addresses: [`${addressOf(number)}/24`],
    });
    made.powerOn();
    return made;
  };
  const prepared = [machine(), machine(), machine()];
  await kernel.run(5_000);
  onTestFinished(kernel.runInBackground());
  const next = (): SimHost => {
    const host = prepared.shift();
    if (host === undefined) throw new Error('no host is left');
    return host;
  };

  return {
    port,
    unbound: addressOf(99),
    host: async (name, papers) => {
      const host = next();
      let now: Papers = { ...usualPapers(name), ...papers };
      let tls = tlsOf(now);
      const note = (): void => {
        if (tls.certificate !== undefined) serialsShown.set(name, tls.certificate.serial);
      };
      note();
      return {
        address: addressOf(host.plan.number),
        transport: createSimTransport(host.spawn('p'), host, network, () => tls),
        serial: () => tls.certificate?.serial ?? '',
        change: async (change) => {
          const { certificate } = tls;
          now = { ...now, ...change };
          tls = tlsOf(now);
          // Another certificate only where something about it changes.
          if (change.signedBy === undefined && certificate !== undefined) tls = { ...tls, certificate };
          note();
        },
      };
    },
    mute: async () => {
      const host = next();
      const process = host.spawn('mute');
      const at = { address: addressOf(host.plan.number), port };
      network.listen(process, host, at, () => {});
      process.freeze();
      return at.address;
    },
  };
});

unitControlContract('the simulated unit control', async () => {
  const kernel = new Kernel('contract');
  const host = new SimHost(kernel, new SimNetwork(kernel), { name: 'n1', number: 1, addresses: [] });
  host.powerOn();
  await kernel.run(5_000);
  onTestFinished(kernel.runInBackground());
  let units = 0;
  return {
    control: createSimUnitControl(host.spawn('p'), host),
    install: async (behaviour) => {
      const unit = `unit-${++units}.service`;
      host.installUnit(unit, behaviour);
      return unit;
    },
  };
});
