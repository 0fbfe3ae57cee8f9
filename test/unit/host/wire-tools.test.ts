import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseArping, runArping } from '../../../src/host/arping.ts';
import { parseMonitoredNeighbour, parseNeighbours } from '../../../src/host/neighbours.ts';
import { measurePassage, parsePing } from '../../../src/host/ping.ts';
import { parseAddress, tryParseAddress } from '../../../src/protocol/address.ts';
import { execWithPrograms } from '../../support/programs.ts';

const mac = fc
  .array(fc.integer({ min: 0, max: 255 }), { minLength: 6, maxLength: 6 })
  .map((bytes) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':'));
const ipv4 = fc.ipV4().map(parseAddress);
const anyAddress = fc
  .oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => tryParseAddress(text) !== undefined),
  )
  .map(parseAddress);

describe('the report of arping', () => {
  const line = fc.record({
    from: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, ipv4),
    mac,
    how: fc.constantFrom('Unicast reply', 'Broadcast reply', 'Unicast request', 'Broadcast request'),
    tail: fc.constantFrom('  0.547ms', ' for 192.0.2.1   1.002ms', ' UNSOLICITED?'),
  });

  it('has every link-layer address that answered for the address asked for, once, and how many questions left', () => {
    fc.assert(
      fc.property(
        ipv4,
        ipv4,
        fc.array(line, { maxLength: 8 }),
        fc.nat(99),
        (address, source, lines, sent) => {
          const answers = lines.map(
            (each) => `${each.how} from ${each.from ?? address} [${each.mac.toUpperCase()}]${each.tail}`,
          );
          const text = [
            `ARPING ${address} from ${source} eth0`,
            ...answers,
            `Sent ${sent} probes (${sent} broadcast(s))`,
            `Received ${lines.length} response(s) (1 request(s))`,
            '',
          ].join('\n');
          const own = lines.filter(({ from }) => from === undefined || from === address);
          expect(parseArping(text, address)).toEqual({
            sent,
            owners: [...new Set(own.map((each) => each.mac))],
          });
        },
      ),
    );
  });

  it.each([
    ['a link that is down', 'Interface "eth0" is down\n'],
    ['nothing', ''],
    [
      'another program of that name',
      'ARPING 192.0.2.5\n60 bytes from 0a:8b:3c:fe:8f:16 (192.0.2.5): index=0\n',
    ],
    ['a report that was cut off', 'ARPING 192.0.2.5 from 0.0.0.0 eth0\n'],
    ['a report of another address', 'ARPING 192.0.2.6 from 0.0.0.0 eth0\nSent 1 probes (1 broadcast(s))\n'],
  ])('is not read from %s', (_, text) => {
    expect(parseArping(text, parseAddress('192.0.2.5'))).toBeUndefined();
  });

  it('is an error where nothing was sent, whatever the exit status says', async () => {
    const report =
      'ARPING 192.0.2.5 from 0.0.0.0 eth0\\nSent 0 probes (0 broadcast(s))\\nReceived 0 response(s)\\n';
    const exec = await execWithPrograms({ arping: `printf '${report}'` });
    await expect(runArping(exec, ['-D'], parseAddress('192.0.2.5'), { waitMs: 1_000 })).rejects.toMatchObject(
      {
        code: 'COMMAND_FAILED',
        message: 'No ARP packet for 192.0.2.5 could leave this host.',
      },
    );
  });
});

describe('the neighbour tables', () => {
  const entry = fc.record({
    address: anyAddress,
    interface: fc.constantFrom('eth0', 'eth1', 'br-lan'),
    mac: fc.option(mac, { nil: undefined }),
    states: fc.subarray([
      'REACHABLE',
      'STALE',
      'DELAY',
      'PROBE',
      'FAILED',
      'INCOMPLETE',
      'PERMANENT',
      'NOARP',
    ]),
  });

  it('are read entry by entry as iproute2 prints them', () => {
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const text = JSON.stringify(
          entries.map((each) => ({
            dst: each.address,
            dev: each.interface,
            ...(each.mac === undefined ? {} : { lladdr: each.mac.toUpperCase() }),
            router: null,
            state: each.states,
          })),
        );
        expect(parseNeighbours(text)).toEqual(
          entries.map(({ mac: known, ...rest }) => ({
            ...rest,
            ...(known === undefined ? {} : { mac: known }),
          })),
        );
      }),
    );
  });

  it('keep an entry whose link-layer address is a tunnel’s, without it', () => {
    const text = '[{"dst":"192.0.2.9","dev":"gre1","lladdr":"198.51.100.7","state":["NOARP"]}]';
    expect(parseNeighbours(text)).toEqual([{ address: '192.0.2.9', interface: 'gre1', states: ['NOARP'] }]);
  });

  it.each(['{', '{}', '[{"dst":"eth0"}]', '[{"dst":"192.0.2.9"}]', '[1]'])(
    'are unreadable, never shorter, where the answer is %s',
    (text) => {
      expect(() => parseNeighbours(text)).toThrow(expect.objectContaining({ code: 'OUTPUT_UNREADABLE' }));
    },
  );

  it('tell a link-layer address as they learn it and as they drop it', () => {
    fc.assert(
      fc.property(
        anyAddress,
        mac,
        fc.constantFrom('', 'Deleted '),
        fc.constantFrom('', 'dev eth0 '),
        fc.constantFrom('REACHABLE', 'router STALE', 'extern_learn NOARP'),
        (address, known, deleted, dev, state) => {
          const line = `${deleted}${address} ${dev}lladdr ${known} ${state}`;
          expect(parseMonitoredNeighbour(line)).toEqual({ address, mac: known });
          expect(parseMonitoredNeighbour(`${deleted}${address} ${dev}FAILED`)).toBeUndefined();
        },
      ),
    );
  });
});

describe('the report of ping', () => {
  const statistics = (received: number) =>
    `\n--- 192.0.2.2 ping statistics ---\n1 packets transmitted, ${received} received, 0% packet loss, time 0ms\n`;

  it.each([
    ['an answer', statistics(1), { answered: true }],
    ['silence', statistics(0), { answered: false }],
    [
      'a router that does not fragment',
      `From 192.0.2.254 icmp_seq=1 Frag needed and DF set (mtu = 1400)\n${statistics(0)}`,
      { answered: false, mtu: 1400 },
    ],
    [
      'an IPv6 router',
      `From 2001:db8::fe icmp_seq=1 Packet too big: mtu=1280\n${statistics(0)}`,
      { answered: false, mtu: 1280 },
    ],
    [
      'this host',
      `${statistics(0)}ping: local error: message too long, mtu: 1500\n`,
      { answered: false, mtu: 1500 },
    ],
    [
      'this host, with an older ping',
      `${statistics(0)}ping: local error: Message too long, mtu=9000\n`,
      { answered: false, mtu: 9000 },
    ],
    ['an error before anything was sent', 'ping: bind: Cannot assign requested address\n', undefined],
  ])('tells %s', (_, text, echo) => {
    expect(parsePing(text)).toEqual(echo);
  });

  it('is tried a second time before a size counts as lost', async () => {
    const exec = await execWithPrograms({
      ping: `
        case " $* " in *" -M do "*) received=0 ;; *) received=1 ;; esac
        printf '1 packets transmitted, %s received\\n' $received`,
    });
    const path = { source: parseAddress('192.0.2.1'), target: parseAddress('192.0.2.2'), bytes: 1500 };
    await expect(measurePassage(exec, path)).resolves.toEqual({ outcome: 'lost' });
  });
});
