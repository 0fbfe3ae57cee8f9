import { describe, expect, it, vi } from 'vitest';
import { createClock } from '../../src/host/clock.ts';
import { createInterfaces } from '../../src/host/interfaces.ts';
import { createWire } from '../../src/host/wire.ts';
import { type Address, type Family, parseAddress } from '../../src/protocol/address.ts';
import { foreignOwners } from '../../src/protocol/wire.ts';
import { isRoot } from '../support/netns.ts';
import { openSegment, type SegmentHost } from '../support/segment.ts';

const clock = createClock();
const families = ['ipv4', 'ipv6'] as const;
const networks = { ipv4: ['192.0.2.', 24], ipv6: ['2001:db8::', 64] } as const;

function address(family: Family, host: number): Address {
  return parseAddress(`${networks[family][0]}${host}`);
}

async function give(host: SegmentHost, family: Family, number: number, card = 'eth0'): Promise<Address> {
  const nodad = family === 'ipv6' ? ' nodad' : '';
  await host.ip(`addr add ${address(family, number)}/${networks[family][1]} dev ${card}${nodad}`);
  return address(family, number);
}

function interfacesOf({ exec }: SegmentHost) {
  return createInterfaces(exec, clock);
}

function wireOf(host: SegmentHost) {
  return createWire(host.exec, interfacesOf(host), clock);
}

async function entryOf(host: SegmentHost, wanted: Address) {
  const found = await wireOf(host).neighbours();
  return found.find((each) => each.address === wanted);
}

/** Lets only each third question through to the owner. */
const everyThird = {
  ipv4: 'ether type arp numgen inc mod 3 < 2 drop',
  ipv6: 'icmpv6 type nd-neighbor-solicit numgen inc mod 3 < 2 drop',
} as const;

async function timed<T>(what: string, work: () => Promise<T>): Promise<{ answer: T; ms: number }> {
  const start = clock.monotonic();
  const answer = await work();
  const ms = Math.round(clock.monotonic() - start);
  process.stdout.write(`  measured: ${what}: ${ms} ms\n`);
  return { answer, ms };
}

/** What rlnet promises: an owner is found in less. */
const promisedMs = 3_000;

/** A drop rule of the host's own, where packets go out. */
async function block(host: SegmentHost, hook: string, rule: string): Promise<void> {
  await host.sh(`nft 'table ${hook} priority 0; ${rule} drop; }; }'`);
}
const egress = 'netdev t { chain c { type filter hook egress device eth0';
const output = 'inet t { chain c { type filter hook output';
const ingress = 'netdev t { chain c { type filter hook ingress device eth0';

// One after the other: they are about time.
describe.skipIf(!isRoot)('an owner on the wire of a segment (needs root)', () => {
  describe.each(families)('asked for an %s address', (family) => {
    it('names the MAC of its owner in under 3 s, whom the asking does not disturb', async () => {
      await using segment = await openSegment();
      const [asker, owner, third] = [await segment.host(), await segment.host(), await segment.host()];
      await give(asker, family, 1);
      const taken = await give(owner, family, 2);
      const client = await give(third, family, 3);
      await third.sh(`ping -n -q -c 1 -W 5 ${taken}`);
      const known = async () =>
        [await entryOf(third, taken), await entryOf(owner, client)].map((entry) => entry?.mac);
      const before = await known();
      expect(before).toEqual([await owner.mac('eth0'), await third.mac('eth0')]);

      const watch = await segment.watch('arp or icmp6');
      const { answer, ms } = await timed(`an ${family} owner found`, () =>
        wireOf(asker).ask({ interface: 'eth0', address: taken }),
      );
      const packets = await watch.stop();

      expect(answer).toEqual({ outcome: 'answered', owners: [await owner.mac('eth0')] });
      expect(ms).toBeLessThan(promisedMs);
      expect(await known()).toEqual(before);
      const mac = await asker.mac('eth0');
      const sent = packets.filter((line) => line.startsWith(`${mac} >`));
      expect(sent.length).toBeGreaterThan(0);
      // Nothing but questions, and from nobody's address.
      for (const line of sent) {
        expect(line).toMatch(
          family === 'ipv4'
            ? new RegExp(`Request who-has ${taken}( \\(ff:ff:ff:ff:ff:ff\\))? tell 0\\.0\\.0\\.0,`)
            : /: fe80::\S+ > ff02::\S+: ICMP6, neighbor solicitation/,
        );
      }
      expect(await entryOf(asker, taken)).toBeUndefined();
    });

    it('finds an owner that answers only every third time, in under 3 s', async () => {
      await using segment = await openSegment();
      const [asker, owner] = [await segment.host(), await segment.host()];
      const taken = await give(owner, family, 2);
      await give(asker, family, 1);
      await owner.sh(`nft 'table ${ingress} priority 0; ${everyThird[family]}; }; }'`);
      const { answer, ms } = await timed(`an ${family} owner that answers every third time found`, () =>
        wireOf(asker).ask({ interface: 'eth0', address: taken }),
      );
      expect(answer).toEqual({ outcome: 'answered', owners: [await owner.mac('eth0')] });
      expect(ms).toBeLessThan(promisedMs);
    });
  });
});

describe.skipIf(!isRoot)('the wire of a segment (needs root)', { concurrent: true }, () => {
  describe.each(families)('asked for an %s address', { concurrent: true }, (family) => {
    it('is silent where nobody has it, after seven questions, and leaves nothing behind', async () => {
      await using segment = await openSegment();
      const [asker] = [await segment.host(), await segment.host()];
      await give(asker, family, 1);
      const free = address(family, 9);
      const watch = await segment.watch('arp or icmp6');
      const { answer } = await timed(`an ${family} address found free`, () =>
        wireOf(asker).ask({ interface: 'eth0', address: free }),
      );
      const questions = (await watch.stop()).filter((line) => line.includes(`has ${free}`));
      expect(answer).toEqual({ outcome: 'silent', probes: 7 });
      expect(questions.length).toBeGreaterThanOrEqual(7);
      expect(await entryOf(asker, free)).toBeUndefined();
    });

    it('tells the host’s own second card from another host, and hears another host beside it', async () => {
      await using segment = await openSegment();
      const asker = await segment.host(2);
      await give(asker, family, 1);
      const wanted = await give(asker, family, 5, 'eth1');
      const ask = async () => {
        const answer = await wireOf(asker).ask({ interface: 'eth0', address: wanted });
        return answer.outcome === 'answered' ? answer.owners : answer;
      };
      const { answer: owners } = await timed(`the own second card (${family}) told apart`, ask);
      expect(owners).toEqual([await asker.mac('eth1')]);
      expect(foreignOwners(owners as string[], await interfacesOf(asker).read())).toEqual([]);

      const other = await segment.host();
      await give(other, family, 5);
      const { answer: both } = await timed(`another host (${family}) found beside the own second card`, ask);
      expect(foreignOwners(both as string[], await interfacesOf(asker).read())).toEqual([
        await other.mac('eth0'),
      ]);
    });

    it('is unknown, and not free, where the link is down, has no carrier, loses it, or is not there', async () => {
      await using segment = await openSegment();
      const [asker] = [await segment.host(2), await segment.host()];
      await give(asker, family, 1);
      const wire = wireOf(asker);
      const ask = (card: string) => wire.ask({ interface: card, address: address(family, 9) });
      const because = (why: string) => ({ outcome: 'unknown', why: expect.stringContaining(why) });
      await expect(ask('eth7')).resolves.toEqual(because('there is no interface eth7'));
      await expect(ask('lo')).resolves.toEqual(because('lo is a link without neighbour resolution'));
      await asker.ip('link set eth1 down');
      await expect(ask('eth1')).resolves.toEqual(because('eth1 is down'));
      const asking = ask('eth0');
      await segment.plug(asker, 'eth0', 'down');
      await expect(asking).resolves.toMatchObject({ outcome: 'unknown' });
      await expect(ask('eth0')).resolves.toEqual(because('eth0 has no carrier'));
    });

    it('is unknown where the questions do not leave the host', async () => {
      await using segment = await openSegment();
      const [asker, owner] = [await segment.host(), await segment.host()];
      await give(asker, family, 1);
      const taken = await give(owner, family, 2);
      const rules = {
        ipv4: [[egress, 'ether type arp']],
        ipv6: [
          [egress, 'icmpv6 type nd-neighbor-solicit'],
          [output, 'icmpv6 type nd-neighbor-solicit'],
        ],
      } as const;
      for (const [hook, rule] of rules[family]) {
        await asker.sh('nft flush ruleset');
        await block(asker, hook, rule);
        const answer = await wireOf(asker).ask({ interface: 'eth0', address: taken });
        expect(answer).toEqual({
          outcome: 'unknown',
          why: expect.stringMatching(/could (leave|not be asked)/),
        });
      }
    });

    it('hears the gateway answer to one of the host’s addresses, and its silence', async () => {
      await using segment = await openSegment();
      const [host, gateway] = [await segment.host(), await segment.host()];
      await give(host, family, 1);
      const source = await give(host, family, 7);
      const hop = await give(gateway, family, 254);
      const question = { interface: 'eth0', address: hop, source };
      const watch = await segment.watch('arp or icmp6');
      const answer = await wireOf(host).ask(question);
      const packets = await watch.stop();
      expect(answer).toEqual({ outcome: 'answered', owners: [await gateway.mac('eth0')] });
      const asked =
        family === 'ipv4' ? `who-has ${hop} (ff:ff:ff:ff:ff:ff) tell ${source}` : `: ${source} > ff02::`;
      expect(packets.filter((line) => line.includes(asked))).not.toEqual([]);

      await gateway.ip('link set eth0 down');
      await host.ip('neigh flush all');
      await expect(wireOf(host).ask(question)).resolves.toMatchObject({ outcome: 'silent' });
      await expect(wireOf(host).ask({ ...question, source: address(family, 8) })).resolves.toMatchObject({
        outcome: 'unknown',
      });
    });

    it('stops asking when the answer is not wanted any more, and leaves nothing behind', async () => {
      await using segment = await openSegment();
      const [asker] = [await segment.host(), await segment.host()];
      await give(asker, family, 1);
      const controller = new AbortController();
      const free = address(family, 9);
      const watch = await segment.watch('arp or icmp6');
      const asking = wireOf(asker).ask({ interface: 'eth0', address: free }, controller.signal);
      const reason = new Error('not wanted');
      const refused = expect(asking).rejects.toBe(reason);
      const isQuestion = (line: string): boolean => line.includes(`has ${free}`);
      await vi.waitFor(() => expect(watch.lines.some(isQuestion)).toBe(true), {
        timeout: 10_000,
        interval: 5,
      });
      controller.abort(reason);
      await refused;
      expect((await watch.stop()).filter(isQuestion).length).toBeLessThan(7);
      expect(await entryOf(asker, free)).toBeUndefined();
    });

    it('announces an address so that neighbours who knew another card for it learn the new one', async () => {
      await using segment = await openSegment();
      const [host, peer, old] = [await segment.host(), await segment.host(), await segment.host()];
      const told = await give(peer, family, 2);
      const moved = await give(old, family, 5);
      await peer.sh(`ping -n -q -c 1 -W 5 ${moved}`);
      expect(await entryOf(peer, moved)).toMatchObject({ mac: await old.mac('eth0') });
      await old.ip('link set eth0 down');
      await give(host, family, 5);
      const claim = { interface: 'eth0', address: moved, neighbours: [told] };
      const watch = await segment.watch('arp or icmp6');
      await expect(wireOf(host).announce(claim)).resolves.toEqual({ outcome: 'sent', answered: [told] });
      const packets = (await watch.stop()).join('\n');
      expect(await entryOf(peer, moved)).toMatchObject({ mac: await host.mac('eth0') });
      if (family === 'ipv4') {
        expect(packets).toContain(`who-has ${moved} (ff:ff:ff:ff:ff:ff) tell ${moved}`);
        expect(packets).toContain(`Reply ${moved} is-at ${await host.mac('eth0')}`);
      } else {
        expect(packets).toMatch(
          new RegExp(`: ${moved} > ff02::\\S+: ICMP6, neighbor solicitation, who has ${told}`),
        );
      }
      const foreign = { ...claim, address: address(family, 77) };
      await expect(wireOf(host).announce(foreign)).resolves.toMatchObject({ outcome: 'unknown' });
    });

    it('measures whether a size passes with DF, and where a router forwards it, loses it or says what does', async () => {
      await using segment = await openSegment();
      await using far = await openSegment();
      const [host, router] = [await segment.host(), await segment.host()];
      const target = await far.host();
      const source = await give(host, family, 1);
      const hop = await give(router, family, 254);
      await router.ip(`link add eth1 type veth peer name eth1 netns ${target.pid}`);
      const other = family === 'ipv4' ? ['198.51.100.', 24] : ['2001:db8:1::', 64];
      const nodad = family === 'ipv6' ? ' nodad' : '';
      const end = parseAddress(`${other[0]}2`);
      for (const [each, number] of [
        [router, 1],
        [target, 2],
      ] as const) {
        await each.ip(
          `link set eth1 up mtu 1400\naddr add ${other[0]}${number}/${other[1]} dev eth1${nodad}`,
        );
      }
      await router.sh(
        'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
      );
      await host.ip(`route add default via ${hop}`);
      await target.ip(`route add default via ${other[0]}1`);
      const passes = (bytes: number, to = end) => wireOf(host).passes({ source, target: to, bytes });
      await expect(passes(1400)).resolves.toEqual({ outcome: 'passes' });
      await expect(passes(1500)).resolves.toEqual({ outcome: 'too-big', mtu: 1400 });
      await expect(passes(1500, hop)).resolves.toEqual({ outcome: 'passes' });
      await expect(passes(1501, hop)).resolves.toEqual({ outcome: 'too-big', mtu: 1500 });
      await router.sh(
        `nft 'table inet t { chain c { type filter hook forward priority 0; meta length > 1300 drop; }; }'`,
      );
      await expect(passes(1400)).resolves.toEqual({ outcome: 'lost' });
      await target.ip('link set eth1 down');
      await expect(passes(1400)).resolves.toMatchObject({ outcome: 'unknown' });
      await expect(
        wireOf(host).passes({ source: address(family, 99), target: hop, bytes: 1400 }),
      ).resolves.toMatchObject({ outcome: 'unknown', why: expect.stringContaining('ping') });
    });
  });

  it('says that a neighbour has heard an announcement only if it has, also beside traffic from another address', async () => {
    await using segment = await openSegment();
    const [host, peer, old] = [await segment.host(), await segment.host(), await segment.host()];
    const told = await give(peer, 'ipv6', 2);
    const moved = await give(old, 'ipv6', 5);
    const other = await give(host, 'ipv6', 1);
    await peer.sh(`ping -n -q -c 1 -W 5 ${moved}`);
    await old.ip('link set eth0 down');
    await give(host, 'ipv6', 5);
    const traffic = host.exec.lines('ping', ['-n', '-q', '-i', '0.01', '-I', other, told], () => {});
    const claim = { interface: 'eth0', address: moved, neighbours: [told, address('ipv6', 9)] };
    const result = await wireOf(host).announce(claim);
    traffic.stop();
    await traffic.ended;
    const heard = (await entryOf(peer, moved))?.mac === (await host.mac('eth0'));
    expect(result).toEqual({ outcome: 'sent', answered: heard ? [told] : [] });
  });

  it('takes its own card for its own also where it answers for an address of another one, which is down', async () => {
    await using segment = await openSegment();
    const asker = await segment.host(3);
    const wanted = await give(asker, 'ipv4', 5, 'eth2');
    await asker.ip('link set eth2 down');
    await expect(wireOf(asker).ask({ interface: 'eth0', address: wanted })).resolves.toEqual({
      outcome: 'answered',
      owners: [await asker.mac('eth1')],
    });
  });

  it('is unknown for IPv6 where the interface has no link-local address, and where a person has fixed the neighbour', async () => {
    await using segment = await openSegment();
    const [asker] = [await segment.host(), await segment.host()];
    await give(asker, 'ipv6', 1);
    const question = { interface: 'eth0', address: address('ipv6', 9) };
    for (const state of ['PERMANENT', 'NOARP']) {
      await asker.ip(
        `neigh replace ${question.address} lladdr 02:00:00:00:00:01 dev eth0 nud ${state.toLowerCase()}`,
      );
      await expect(wireOf(asker).ask(question)).resolves.toEqual({
        outcome: 'unknown',
        why: expect.stringContaining(`is fixed in the neighbour table of eth0 (${state})`),
      });
      expect(await entryOf(asker, question.address)).toMatchObject({
        mac: '02:00:00:00:00:01',
        states: [state],
      });
    }
    await asker.ip(`neigh del ${question.address} dev eth0\naddr flush dev eth0 scope link`);
    await expect(wireOf(asker).ask(question)).resolves.toEqual({
      outcome: 'unknown',
      why: expect.stringContaining('0 of 7 neighbour solicitations left eth0'),
    });
  });

  it('finds an IPv4 owner on an interface without an IPv4 address, and in another subnet', async () => {
    await using segment = await openSegment();
    const [asker, owner] = [await segment.host(), await segment.host()];
    await owner.ip('addr add 198.51.100.2/24 dev eth0');
    await owner.sh('echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter');
    const question = { interface: 'eth0', address: parseAddress('198.51.100.2') };
    await expect(wireOf(asker).ask(question)).resolves.toMatchObject({ outcome: 'answered' });
    await give(asker, 'ipv4', 1);
    await expect(wireOf(asker).ask(question)).resolves.toMatchObject({ outcome: 'answered' });
  });

  it('reads both neighbour tables', async () => {
    await using segment = await openSegment();
    const [one, two] = [await segment.host(), await segment.host()];
    for (const family of families) {
      await give(one, family, 1);
      await one.sh(`ping -n -q -c 1 -W 5 ${await give(two, family, 2)}`);
    }
    const mac = await two.mac('eth0');
    await vi.waitFor(async () => {
      const found = await wireOf(one).neighbours();
      for (const family of families) {
        expect(found).toContainEqual(
          expect.objectContaining({ address: address(family, 2), interface: 'eth0', mac }),
        );
      }
    });
  });
});
