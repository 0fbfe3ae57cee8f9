import { describe, expect, it } from 'vitest';
import { type Address, parseAddress, parseInterfaceAddress } from '../../src/protocol/address.ts';
import { ownerFile, rsUnit, SimHost } from '../support/sim/host.ts';
import { Kernel } from '../support/sim/kernel.ts';
import { SimNetwork } from '../support/sim/network.ts';
import { createSimWire } from '../support/sim/wire.ts';

const unit = rsUnit;

async function running(seed = 'host', addresses = ['192.0.2.1/24', '2001:db8::1/64']) {
  const kernel = new Kernel(seed);
  const network = new SimNetwork(kernel);
  const host = new SimHost(kernel, network, { name: 'n1', number: 1, addresses, nodeUid: 1 });
  host.powerOn();
  await kernel.run(10_000);
  return { kernel, network, host };
}

function bound(host: SimHost): Address[] {
  const eth0 = host.interfaces.links.find(({ name }) => name === 'eth0');
  return (eth0?.addresses ?? []).map(({ address }) => address);
}

describe('addresses', () => {
  it("are after a boot what is in the owner's files, without what was only added to the kernel", async () => {
    const { kernel, host } = await running();
    expect(bound(host)).toEqual(['192.0.2.1', '2001:db8::1']);
    host.interfaces.add('eth0', parseInterfaceAddress('192.0.2.7/24'));
    const process = host.spawn('p');
    void host.files(process).writeAtomic(ownerFile('eth0'), '192.0.2.9/24\n192.0.', 0o644);
    await kernel.run(1_000);
    expect(bound(host)).toContain('192.0.2.7');
    host.reboot(5_000);
    await kernel.run(10_000);
    expect(bound(host)).toEqual(['192.0.2.9']);
  });

  it('are taken up from the files without a boot too, and what others have added goes', async () => {
    const { kernel, host } = await running();
    host.interfaces.add('eth0', parseInterfaceAddress('192.0.2.7/24'));
    void host.files(host.spawn('p')).writeAtomic(ownerFile('eth0'), '192.0.2.9/24\n', 0o644);
    await kernel.run(1_000);
    host.activate('eth0');
    expect(bound(host)).toEqual(['192.0.2.9']);
  });

  it('of another machine are answered for on the wire, and duplicate address detection of IPv6 finds them', async () => {
    const { kernel, network, host } = await running();
    const stranger = new SimHost(kernel, network, {
      name: 'stranger',
      number: 9,
      addresses: ['192.0.2.8/24', '2001:db8::8/64'],
    });
    stranger.powerOn();
    await kernel.run(5_000);
    const answering = (text: string): string[] =>
      network.answering(host, parseAddress(text)).map(({ name }) => name);
    expect(answering('192.0.2.8')).toEqual(['stranger']);
    expect(answering('192.0.2.77')).toEqual([]);
    const wire = createSimWire(host.spawn('p'), host, network);
    const asked = ['192.0.2.8', '192.0.2.77'].map((text) =>
      wire.ask({ interface: 'eth0', address: parseAddress(text) }),
    );
    await kernel.run(5_000);
    expect(await Promise.all(asked)).toEqual([
      { outcome: 'answered', owners: [stranger.macOf(parseAddress('192.0.2.8'))] },
      { outcome: 'silent', probes: 7 },
    ]);
    const [source, target] = [parseAddress('192.0.2.1'), parseAddress('192.0.2.8')];
    const reached = wire.reach({ source, target, port: 9470 });
    const passed = [1_500, 9_000].map((bytes) => wire.passes({ source, target, bytes }));
    await kernel.run(5_000);
    expect(await reached).toEqual({ outcome: 'refused' });
    expect(await Promise.all(passed)).toEqual([{ outcome: 'passes' }, { outcome: 'too-big', mtu: 1_500 }]);
    // IPv4 adds it all the same.
    host.interfaces.add('eth0', parseInterfaceAddress('192.0.2.8/24'));
    expect(host.holds(parseAddress('192.0.2.8'))).toBe(true);
    expect(answering('192.0.2.8')).toEqual(['stranger']);
    host.interfaces.add('eth0', parseInterfaceAddress('2001:db8::8/64'));
    await kernel.run(5_000);
    expect(host.holds(parseAddress('2001:db8::8'))).toBe(false);
    network.isolate('stranger');
    expect(answering('192.0.2.8')).toEqual([]);
  });
});

describe('a unit', () => {
  it('that was disabled may be enabled again after a power cut, and is not once the disk was synced', async () => {
    const afterPowerCut = async (seed: number, sync: boolean): Promise<string | undefined> => {
      const { kernel, host } = await running(`unit ${seed}`);
      expect(host.unit(unit)).toMatchObject({ unitFileState: 'enabled', activeState: 'active' });
      host.setEnabled(unit, false);
      expect(host.unit(unit)).toMatchObject({ unitFileState: 'disabled', activeState: 'active' });
      if (sync) host.disk.syncAll();
      host.powerOff();
      host.powerOn();
      await kernel.run(10_000);
      const { unitFileState = '', activeState = '' } = host.unit(unit) ?? {};
      return `${unitFileState} ${activeState}`;
    };
    const seeds = Array.from({ length: 20 }, (_, index) => index);
    const unsynced = await Promise.all(seeds.map((seed) => afterPowerCut(seed, false)));
    expect(new Set(unsynced)).toEqual(new Set(['enabled active', 'disabled inactive']));
    const synced = await Promise.all(seeds.map((seed) => afterPowerCut(seed, true)));
    expect(new Set(synced)).toEqual(new Set(['disabled inactive']));
  });
});

describe('a restart', () => {
  it('tells services to end, syncs the disk, and comes back as another boot', async () => {
    const { kernel, host } = await running();
    const ended: string[] = [];
    host.install('service', {
      restartMs: 100,
      start: (process) => process.onExit(() => ended.push('gone')),
      stop: (process) => {
        ended.push('told');
        process.clock.after(300, () => process.exit());
      },
    });
    host.setEnabled(unit, false);
    await kernel.run(1_000);
    const before = host.bootId;
    host.restart();
    await kernel.run(900);
    expect(ended).toEqual(['told', 'gone']);
    await kernel.run(120_000);
    expect(host.isOn).toBe(true);
    expect(host.bootId).not.toBe(before);
    expect(host.unit(unit)).toMatchObject({ unitFileState: 'disabled', activeState: 'inactive' });
    expect(host.process('service')).toBeDefined();
  });

  it('takes 20 minutes or never ends where the odds are so', async () => {
    const { kernel, host } = await running();
    host.restartOdds = { never: 0, slow: 1 };
    host.restart();
    await kernel.run(20 * 60_000);
    expect(host.isOn).toBe(false);
    await kernel.run(10_000);
    expect(host.isOn).toBe(true);
    host.restartOdds = { never: 1, slow: 0 };
    host.restart();
    await kernel.run(24 * 3_600_000);
    expect(host.isOn).toBe(false);
    host.powerOn();
    await kernel.run(1);
    expect(host.isOn).toBe(true);
  });
});

describe('a suspended machine', () => {
  it('stands still but for its boot clock, answers nobody, and its timers go on where they were', async () => {
    const { kernel, host } = await running();
    const process = host.spawn('p');
    const fired: number[] = [];
    process.clock.after(10_000, () => fired.push(kernel.now));
    const start = { now: kernel.now, monotonic: host.monotonic(), boottime: host.boottime() };
    await kernel.run(4_000);
    host.suspend(3_600_000);
    await kernel.run(1_800_000);
    expect(process.isRunning).toBe(false);
    expect(host.holds(parseAddress('192.0.2.1'))).toBe(false);
    expect(host.isRsActive()).toBe(false);
    expect(host.monotonic() - start.monotonic).toBeCloseTo(4_000);
    await kernel.run(1_800_000);
    expect(host.isRsActive()).toBe(true);
    expect(host.boottime() - start.boottime).toBeCloseTo(3_604_000);
    expect(host.monotonic() - start.monotonic).toBeCloseTo(4_000);
    const [clock] = [host.bootClock(process).now()];
    await kernel.run(20_000);
    expect((await clock).bootId).toBe(host.bootId);
    expect((await clock).seconds * 1_000 - start.boottime).toBeCloseTo(3_604_000, -2);
    expect(fired).toHaveLength(1);
    expect((fired[0] ?? 0) - start.now).toBeGreaterThanOrEqual(3_610_000);
    expect((fired[0] ?? 0) - start.now).toBeLessThan(3_610_002);
  });
});
