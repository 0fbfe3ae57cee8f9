import { describe, expect, it } from 'vitest';
import type { Channel } from '../../src/agent/mesh/channel.ts';
import { type Address, parseAddress } from '../../src/protocol/address.ts';
import { tlsFor } from '../support/sim/agent.ts';
import { SimHost } from '../support/sim/host.ts';
import { Kernel } from '../support/sim/kernel.ts';
import { SimNetwork } from '../support/sim/network.ts';
import type { SimProcess } from '../support/sim/process.ts';
import { createSimTransport, type SimTls } from '../support/sim/transport.ts';

/** Two hosts with a process each, and what their network, kernels and processes do to a connection; the rest is in the contract. */

const port = 9470;

interface Side {
  host: SimHost;
  process: SimProcess;
  address: Address;
  tls: SimTls;
  channels: { channel: Channel; texts: string[]; closed: string[] }[];
  listen(): Promise<unknown>;
  /** @returns the channel, or the words of the error */
  dial(to: Address): Promise<Channel | string>;
  watch(channel: Channel): { channel: Channel; texts: string[]; closed: string[] };
}

async function pair(families: 'ipv4' | 'ipv6' = 'ipv4'): Promise<{
  kernel: Kernel;
  network: SimNetwork;
  a: Side;
  b: Side;
  settle: <T>(outcome: Promise<T>) => Promise<T>;
}> {
  const kernel = new Kernel('transport');
  const network = new SimNetwork(kernel);
  const side = (number: number): Side => {
    const name = `n${number}`;
    const text = families === 'ipv4' ? `192.0.2.${number}/24` : `2001:db8::${number}/64`;
    const host = new SimHost(kernel, network, { name, number, addresses: [text] });
    const made: Side = {
      host,
      process: host.spawn('p'),
      address: parseAddress(text.slice(0, text.indexOf('/'))),
      tls: tlsFor({ cluster: 'demo', host: name }),
      channels: [],
      listen: () =>
        transport().listen(
          { address: made.address, port },
          (channel) => made.watch(channel),
          () => {},
        ),
      dial: (to) =>
        transport()
          .dial({ address: to, port }, made.address)
          .catch((thrown: Error) => thrown.message),
      watch: (channel) => {
        const watched = { channel, texts: [] as string[], closed: [] as string[] };
        made.channels.push(watched);
        channel.start({
          text: (each) => watched.texts.push(each),
          closed: (reason) => watched.closed.push(reason),
        });
        return watched;
      },
    };
    const transport = () => createSimTransport(made.process, host, network, () => made.tls);
    return made;
  };
  const [a, b] = [side(1), side(2)];
  for (const { host } of [a, b]) host.powerOn();
  await kernel.run(5_000);
  const settle = async <T>(outcome: Promise<T>): Promise<T> => {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    outcome.then(done, done);
    await kernel.runUntil(() => settled, 60_000);
    expect(settled).toBe(true);
    return await outcome;
  };
  return { kernel, network, a, b, settle };
}

/** Two linked sides; `ours` dialled. */
async function linked() {
  const stage = await pair();
  await stage.settle(stage.b.listen());
  const channel = await stage.settle(stage.a.dial(stage.b.address));
  if (typeof channel === 'string') throw new Error(channel);
  const ours = stage.a.watch(channel);
  await stage.kernel.run(10);
  const [theirs] = stage.b.channels;
  if (theirs === undefined) throw new Error('no channel was accepted');
  return { ...stage, ours, theirs };
}

/** Sends a number every 100 ms. */
function count(kernel: Kernel, channel: Channel, times: number): string[] {
  const sent = Array.from({ length: times }, (_, index) => String(index));
  for (const [index, text] of sent.entries()) kernel.world(index * 100, 'count', () => channel.send(text));
  return sent;
}

describe('a connection', () => {
  it('carries texts both ways, in order, and says who is at the other end', async () => {
    const { kernel, ours, theirs } = await linked();
    expect(ours.channel.identity).toEqual({ cluster: 'demo', host: 'n2' });
    expect(theirs.channel.identity).toEqual({ cluster: 'demo', host: 'n1' });
    expect([ours.channel.opener, theirs.channel.opener]).toEqual(['us', 'them']);
    const there = count(kernel, ours.channel, 20);
    const back = count(kernel, theirs.channel, 20);
    await kernel.run(3_000);
    expect(theirs.texts).toEqual(there);
    expect(ours.texts).toEqual(back);
  });

  it('loses no text on a bad network: what is lost comes late, and holds up what is behind it', async () => {
    const { kernel, network, ours, theirs } = await linked();
    for (const path of network.allPaths()) path.loss = 0.4;
    const sent = count(kernel, ours.channel, 200);
    await kernel.run(19_000);
    const before = theirs.texts.length;
    expect(theirs.texts).toEqual(sent.slice(0, before));
    for (const path of network.allPaths()) path.loss = 0;
    await kernel.run(130_000);
    expect(theirs.texts).toEqual(sent);
  });

  it('hands each text over once, in order, also where packets arrive twice', async () => {
    const { kernel, network, ours, theirs } = await linked();
    for (const path of network.allPaths()) {
      path.loss = 0.2;
      path.duplication = 0.5;
    }
    const there = count(kernel, ours.channel, 200);
    const back = count(kernel, theirs.channel, 200);
    await kernel.run(100_000);
    expect(theirs.texts).toEqual(there);
    expect(ours.texts).toEqual(back);
    ours.channel.close('goingAway', 'enough');
    await kernel.run(10_000);
    expect([ours.closed, theirs.closed]).toEqual([['enough'], ['enough']]);
  });

  it('goes silent where the network is cut, tells nobody, and lets what is sent pile up', async () => {
    const { kernel, network, ours, theirs } = await linked();
    network.isolate('n2');
    for (let index = 0; index < 4; index++) ours.channel.send('x'.repeat(60_000));
    await kernel.run(60_000);
    expect(theirs.texts).toEqual([]);
    expect([...ours.closed, ...theirs.closed]).toEqual([]);
    expect(ours.channel.queuedBytes).toBeGreaterThan(100_000);
    network.rejoin('n2');
    await kernel.run(120_000);
    expect(theirs.texts).toHaveLength(4);
    expect(ours.channel.queuedBytes).toBe(0);
  });

  it('comes to a halt in both directions where one is cut, since no acknowledgement gets back', async () => {
    const { kernel, network, ours, theirs } = await linked();
    network.path('n2', 'n1').isUp = false;
    const sent = count(kernel, ours.channel, 50);
    theirs.channel.send('never heard');
    await kernel.run(10_000);
    expect(ours.texts).toEqual([]);
    expect(theirs.texts.length).toBeGreaterThan(0);
    expect(theirs.texts.length).toBeLessThan(10);
    expect(theirs.texts).toEqual(sent.slice(0, theirs.texts.length));
  });

  it('is given up by the kernel after a quarter of an hour without an answer', async () => {
    const { kernel, network, ours } = await linked();
    network.isolate('n2');
    ours.channel.send('anybody there?');
    await kernel.run(15 * 60_000);
    expect(ours.closed).toEqual([]);
    await kernel.run(5 * 60_000);
    expect(ours.closed).toEqual(['read ETIMEDOUT']);
  });

  it('ends at once when the other process dies, since its kernel says so', async () => {
    const { kernel, b, ours } = await linked();
    b.process.exit();
    await kernel.run(10);
    expect(ours.closed).toEqual(['closed (1006)']);
  });

  it('stays half open when the other host loses its power, until it is back and resets what it does not know', async () => {
    const { kernel, b, ours } = await linked();
    b.host.powerOff();
    ours.channel.send('lost');
    await kernel.run(30_000);
    expect(ours.closed).toEqual([]);
    b.host.powerOn();
    await kernel.run(60_000);
    expect(ours.closed).toEqual(['read ECONNRESET']);
  });

  it('stays open and silent when its address is taken from the host', async () => {
    const { kernel, b, ours, theirs } = await linked();
    b.host.interfaces.remove('eth0', b.address);
    ours.channel.send('to nobody');
    theirs.channel.send('from nowhere');
    await kernel.run(30_000);
    expect([...ours.texts, ...theirs.texts, ...ours.closed, ...theirs.closed]).toEqual([]);
  });

  it('is read by a frozen process when it is thawed, and not before', async () => {
    const { kernel, b, ours, theirs } = await linked();
    b.process.freeze();
    const sent = count(kernel, ours.channel, 10);
    await kernel.run(20_000);
    expect(theirs.texts).toEqual([]);
    expect(ours.closed).toEqual([]);
    b.process.thaw();
    await kernel.run(10);
    expect(theirs.texts).toEqual(sent);
  });

  it('piles up before a process that does not read, beyond what the kernels hold', async () => {
    const { kernel, b, ours, theirs } = await linked();
    b.process.freeze();
    for (let index = 0; index < 10; index++) ours.channel.send('x'.repeat(60_000));
    await kernel.run(1_000);
    expect(ours.channel.queuedBytes).toBeGreaterThan(300_000);
    b.process.thaw();
    await kernel.run(30_000);
    expect(theirs.texts).toHaveLength(10);
  });
});

describe('a dial', () => {
  it('is refused at once where nobody listens', async () => {
    const { kernel, a, b, settle } = await pair();
    const start = kernel.now;
    expect(await settle(a.dial(b.address))).toContain('ECONNREFUSED');
    expect(kernel.now - start).toBeLessThan(10);
  });

  it('times out where the network is cut', async () => {
    const { kernel, network, a, b, settle } = await pair();
    await settle(b.listen());
    network.isolate('n2');
    const start = kernel.now;
    expect(await settle(a.dial(b.address))).toContain('timed out');
    expect(kernel.now - start).toBeGreaterThanOrEqual(2_000);
  });

  it('times out where the other process is frozen, though its kernel answers', async () => {
    const { a, b, settle } = await pair();
    await settle(b.listen());
    b.process.freeze();
    expect(await settle(a.dial(b.address))).toContain('timed out');
  });

  it('fails where the own address is not there, and so does listening', async () => {
    const { a, b, settle } = await pair();
    a.host.interfaces.remove('eth0', a.address);
    expect(await settle(a.dial(b.address))).toContain('EADDRNOTAVAIL');
    await expect(settle(a.listen())).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  it('fails while the own IPv6 address is tentative, and listening does too', async () => {
    const { kernel, a, b, settle } = await pair('ipv6');
    a.host.interfaces.remove('eth0', a.address);
    a.host.interfaces.add('eth0', { address: a.address, prefixLength: 64 });
    expect(await settle(a.dial(b.address))).toContain('EADDRNOTAVAIL');
    await expect(settle(a.listen())).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    await kernel.run(2_000);
    await expect(settle(a.listen())).resolves.toBeDefined();
  });
});
