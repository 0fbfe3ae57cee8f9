import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Channel, Listener, Refusal, RefusalCode, Transport } from '../../../src/agent/mesh/channel.ts';
import type { Address } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { maxMessageBytes } from '../../../src/protocol/messages.ts';

/** What a host shows, and whom it trusts. */
export interface Papers {
  host: string;
  /** The cluster that its certificate names. */
  cluster: string;
  /** The cluster that the host takes itself to be of. */
  ownCluster: string;
  /** Which CA signed the certificate. */
  signedBy: 'ours' | 'another';
  trusts: readonly ('ours' | 'another')[];
  certificate: 'valid' | 'expired' | 'names no host' | 'none';
  /** Hosts whose certificates are on its deny-list. */
  denies: readonly string[];
}

/** A host with its own address and its own transport. */
export interface HostUnderTest {
  address: Address;
  transport: Transport;
  /** The serial number of the certificate that a host shows, in upper case hexadecimal. */
  serial: () => string;
  /** Other files from now on; the transport is not told. */
  change: (papers: Partial<Papers>) => Promise<void>;
}

export interface TransportsUnderTest {
  port: number;
  /** Calls with different names give hosts that reach each other. */
  host: (name: string, papers?: Partial<Papers>) => Promise<HostUnderTest>;
  /** An address that is bound on no host. */
  unbound: Address;
  /** An address where connections are accepted and nothing is ever said. */
  mute: () => Promise<Address>;
}

export const usualPapers = (host: string): Papers => ({
  host,
  cluster: 'demo',
  ownCluster: 'demo',
  signedBy: 'ours',
  trusts: ['ours'],
  certificate: 'valid',
  denies: [],
});

/** What was heard on a channel since it was watched. */
interface Heard {
  channel: Channel;
  texts: string[];
  closed: { reason: string; refusal: RefusalCode | undefined }[];
}

function watch(channel: Channel): Heard {
  const heard: Heard = { channel, texts: [], closed: [] };
  channel.start({
    text: (text) => heard.texts.push(text),
    closed: (reason, refusal) => heard.closed.push({ reason, refusal }),
  });
  return heard;
}

const patience = { timeout: 10_000, interval: 5 };
const soon = (check: () => void): Promise<void> => vi.waitFor(check, patience);

async function errorOf(outcome: Promise<unknown>): Promise<RlnetError> {
  const thrown = await outcome.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof RlnetError)) throw new Error(`not an RlnetError: ${String(thrown)}`);
  return thrown;
}

/** What every Transport keeps, the real one on sockets and the simulated one. */
export function transportContract(name: string, make: () => Promise<TransportsUnderTest>): void {
  interface Listening {
    host: HostUnderTest;
    listener: Listener;
    channels: Channel[];
    refusals: Refusal[];
  }

  async function listening(stage: TransportsUnderTest, host: HostUnderTest): Promise<Listening> {
    const channels: Channel[] = [];
    const refusals: Refusal[] = [];
    const listener = await host.transport.listen(
      { address: host.address, port: stage.port },
      (channel) => channels.push(channel),
      (refusal) => refusals.push(refusal),
    );
    onTestFinished(() => listener.close());
    return { host, listener, channels, refusals };
  }

  const dial = (stage: TransportsUnderTest, from: HostUnderTest, to: Address): Promise<Channel> =>
    from.transport.dial({ address: to, port: stage.port }, from.address);

  /** The newest channel that a listener has accepted, once there are so many. */
  async function accepted({ channels }: Listening, count = 1): Promise<Channel> {
    await soon(() => expect(channels).toHaveLength(count));
    const newest = channels.at(-1);
    if (newest === undefined) throw new Error('no channel was accepted');
    return newest;
  }

  /** `a` has dialled `b`. */
  async function linked() {
    const stage = await make();
    const a = await stage.host('a');
    const b = await stage.host('b');
    const server = await listening(stage, b);
    const ours = watch(await dial(stage, a, b.address));
    const theirs = watch(await accepted(server));
    return { stage, a, b, server, ours, theirs };
  }

  describe(`${name} keeps the contract of Transport`, () => {
    it('says on both sides whose certificate was shown, from where, and who opened the channel', async () => {
      const { a, b, ours, theirs } = await linked();
      expect(ours.channel).toMatchObject({
        identity: { cluster: 'demo', host: 'b' },
        serial: b.serial(),
        address: b.address,
        opener: 'us',
      });
      expect(theirs.channel).toMatchObject({
        identity: { cluster: 'demo', host: 'a' },
        serial: a.serial(),
        address: a.address,
        opener: 'them',
      });
      expect(a.serial()).toMatch(/^[0-9A-F]+$/);
    });

    it('carries texts whole and in order, both ways at a time, also the empty one and those of many bytes a character', async () => {
      const { ours, theirs } = await linked();
      const there = Array.from({ length: 200 }, (_, index) => `there ${index} ${'–'.repeat(index * 20)}`);
      const back = ['', ...Array.from({ length: 200 }, (_, index) => `back ${index}`)];
      for (const text of there) ours.channel.send(text);
      for (const text of back) theirs.channel.send(text);
      await soon(() => expect([theirs.texts.length, ours.texts.length]).toEqual([200, 201]));
      expect(theirs.texts).toEqual(there);
      expect(ours.texts).toEqual(back);
    });

    it('keeps the texts that came before somebody listened to the channel, and the end of it too', async () => {
      const stage = await make();
      const a = await stage.host('a');
      const server = await listening(stage, await stage.host('b'));
      const ours = watch(await dial(stage, a, server.host.address));
      const channel = await accepted(server);
      for (const text of ['one', 'two']) ours.channel.send(text);
      ours.channel.close('goingAway', 'enough');
      await soon(() => expect(ours.closed).toHaveLength(1));
      const theirs = watch(channel);
      await soon(() => expect(theirs.closed).toEqual([{ reason: 'enough', refusal: undefined }]));
      expect(theirs.texts).toEqual(['one', 'two']);
    });

    it('takes a text of the longest length, and ends a channel with a refusal where one is longer', async () => {
      const { ours, theirs } = await linked();
      ours.channel.send('x'.repeat(maxMessageBytes));
      await soon(() => expect(theirs.texts).toHaveLength(1));
      // Counted in bytes: two of each of these.
      ours.channel.send('é'.repeat(maxMessageBytes / 2 + 1));
      await soon(() => expect([ours.closed.length, theirs.closed.length]).toEqual([1, 1]));
      expect(theirs.closed[0]?.refusal).toBe('message');
      expect(ours.closed).toEqual([{ reason: 'closed (1009)', refusal: undefined }]);
      expect(theirs.texts).toHaveLength(1);
    });

    it('counts the bytes that have not left yet, and none once they have', async () => {
      const { ours, theirs } = await linked();
      expect(ours.channel.queuedBytes).toBe(0);
      for (let index = 0; index < 100; index++) ours.channel.send('x'.repeat(60_000));
      expect(ours.channel.queuedBytes).toBeGreaterThan(1_000_000);
      await soon(() => expect(theirs.texts).toHaveLength(100));
      await soon(() => expect(ours.channel.queuedBytes).toBe(0));
    });

    it('closes with a reason that the other side gets, after what was sent before, and tells each side once', async () => {
      const { ours, theirs } = await linked();
      ours.channel.send('last words');
      ours.channel.close('refused', 'twin: two machines');
      ours.channel.send('too late');
      ours.channel.close('goingAway', 'another reason');
      await soon(() => expect([ours.closed.length, theirs.closed.length]).toEqual([1, 1]));
      expect(ours.closed).toEqual([{ reason: 'twin: two machines', refusal: undefined }]);
      expect(theirs.closed).toEqual([{ reason: 'twin: two machines', refusal: undefined }]);
      expect(theirs.texts).toEqual(['last words']);
      for (const { channel } of [ours, theirs]) {
        channel.send('to nobody');
        channel.close('goingAway', 'again');
        channel.terminate();
      }
      expect(theirs.closed).toHaveLength(1);
      expect(ours.closed).toHaveLength(1);
    });

    it('cuts a reason down to what a close frame holds', async () => {
      const { ours, theirs } = await linked();
      ours.channel.close('refused', 'é'.repeat(200));
      await soon(() => expect(theirs.closed).toHaveLength(1));
      expect(theirs.closed[0]?.reason).toBe('é'.repeat(60));
    });

    it('terminates without a word: each side hears of the end once, and no reason', async () => {
      const { ours, theirs } = await linked();
      ours.channel.terminate();
      ours.channel.terminate();
      await soon(() => expect([ours.closed.length, theirs.closed.length]).toEqual([1, 1]));
      expect(ours.closed).toEqual([{ reason: 'closed (1006)', refusal: undefined }]);
      expect(theirs.closed).toEqual([{ reason: 'closed (1006)', refusal: undefined }]);
    });

    it('ends with a listener every channel that came of it, and listens there again', async () => {
      const { stage, a, b, server, ours, theirs } = await linked();
      await server.listener.close();
      await soon(() => expect([ours.closed.length, theirs.closed.length]).toEqual([1, 1]));
      expect((await errorOf(dial(stage, a, b.address))).code).toBe('PEER_UNREACHABLE');
      const again = await listening(stage, b);
      await dial(stage, a, b.address);
      await accepted(again);
    });

    it("rejects a listener with the system's word where the address is taken or not bound", async () => {
      const { stage, b } = await linked();
      await expect(listening(stage, b)).rejects.toMatchObject({ code: 'EADDRINUSE' });
      const nowhere = { ...b, address: stage.unbound };
      await expect(listening(stage, nowhere)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    });

    it('rejects a dial where nobody listens, where nobody answers, and from an address that is not bound', async () => {
      const stage = await make();
      const [a, b] = [await stage.host('a'), await stage.host('b')];
      expect(await errorOf(dial(stage, a, b.address))).toMatchObject({
        code: 'PEER_UNREACHABLE',
        message: expect.stringMatching(/ECONNREFUSED .*internal address alone/),
      });
      expect(await errorOf(dial(stage, a, await stage.mute()))).toMatchObject({
        code: 'PEER_UNREACHABLE',
        message: expect.stringContaining('timed out'),
      });
      expect(await errorOf(dial(stage, { ...a, address: stage.unbound }, b.address))).toMatchObject({
        code: 'PEER_UNREACHABLE',
        message: expect.stringContaining('EADDRNOTAVAIL'),
      });
    });

    it('turns away the seventeenth connection from one address, and leaves the others', async () => {
      const { stage, a, b, server, ours, theirs } = await linked();
      for (let count = 2; count <= 16; count++) await dial(stage, a, b.address);
      expect((await errorOf(dial(stage, a, b.address))).code).toBe('PEER_UNREACHABLE');
      await soon(() => expect(server.refusals).toMatchObject([{ code: 'connections', from: a.address }]));
      ours.channel.send('still here');
      await soon(() => expect(theirs.texts).toEqual(['still here']));
      expect(server.channels).toHaveLength(16);
    });

    it('shows renewed certificates and trusts renewed CAs once it is told, and the channels that are there stay', async () => {
      const { stage, a, b, server, ours, theirs } = await linked();
      const before = b.serial();
      await a.change({ trusts: ['ours', 'another'] });
      await b.change({ signedBy: 'another', trusts: ['ours', 'another'] });
      expect((await dial(stage, a, b.address)).serial).toBe(before);
      server.listener.renew();
      const renewed = await dial(stage, a, b.address);
      expect(renewed.serial).toBe(b.serial());
      expect(renewed.serial).not.toBe(before);
      await a.change({ signedBy: 'another' });
      expect(watch(await dial(stage, a, b.address)).channel.serial).toBe(b.serial());
      expect((await accepted(server, 4)).serial).toBe(a.serial());
      ours.channel.send('still here');
      await soon(() => expect(theirs.texts).toEqual(['still here']));
    });

    it('turns away a certificate from the moment that it is denied', async () => {
      const { stage, a, b, server } = await linked();
      await b.change({ denies: ['a'] });
      expect(await errorOf(dial(stage, a, b.address))).toMatchObject({
        code: 'PEER_REFUSED',
        message: expect.stringContaining('denied'),
      });
      await soon(() => expect(server.refusals).toMatchObject([{ code: 'denied', from: a.address }]));
    });

    /** Who comes, what the listener counts, and what the caller hears. */
    const turnedAway: [string, Partial<Papers>, RefusalCode, RlnetError['code'], RegExp][] = [
      [
        'shows no certificate',
        { certificate: 'none' },
        'no_certificate',
        'PEER_REFUSED',
        /certificate required/i,
      ],
      ['is of another CA', { signedBy: 'another' }, 'unknown_ca', 'PEER_UNREACHABLE', /hung up/],
      ['shows an expired certificate', { certificate: 'expired' }, 'expired', 'PEER_UNREACHABLE', /hung up/],
      ['is no host of rlnet', { certificate: 'names no host' }, 'identity', 'PEER_REFUSED', /us: identity/],
      // It takes us for one of its own, or it would not get so far.
      ['is of another cluster', { cluster: 'other' }, 'cluster', 'PEER_REFUSED', /us: cluster/],
    ];
    it.each(turnedAway)(
      'turns away who %s, and both sides hear of it',
      async (_, papers, refusal, code, words) => {
        const stage = await make();
        const a = await stage.host('a', papers);
        const server = await listening(stage, await stage.host('b'));
        const refused = await errorOf(dial(stage, a, server.host.address));
        expect(refused).toMatchObject({ code, message: expect.stringMatching(words) });
        await soon(() => expect(server.refusals).toMatchObject([{ code: refusal, from: a.address }]));
        expect(server.channels).toEqual([]);
      },
    );

    const refusedHere: [string, Partial<Papers>, Partial<Papers>, RegExp][] = [
      ['is of another CA', {}, { signedBy: 'another' }, /certificate|issuer/],
      ['shows an expired certificate', {}, { certificate: 'expired' }, /expired/],
      ['is no host of rlnet', {}, { certificate: 'names no host' }, /names no rlnet host/],
      ['is of another cluster', {}, { cluster: 'other', ownCluster: 'other' }, /of cluster other/],
      ['is on the deny-list', { denies: ['b'] }, {}, /on the deny-list/],
    ];
    it.each(refusedHere)('does not connect to one that %s', async (_, ours, theirs, words) => {
      const stage = await make();
      const server = await listening(stage, await stage.host('b', theirs));
      const a = await stage.host('a', ours);
      const refused = await errorOf(dial(stage, a, server.host.address));
      expect(refused).toMatchObject({ code: 'PEER_REFUSED', message: expect.stringMatching(words) });
      expect(server.channels).toEqual([]);
    });
  });
}
