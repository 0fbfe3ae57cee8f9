import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  editNetworkd,
  locateInNetworkd,
  type NetworkdConfiguration,
  type NetworkdFile,
} from '../../../src/host/network-owner/networkd-edit.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { fromByteText, toByteText } from '../../../src/protocol/byte-text.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { reversed } from '../../../src/protocol/network-owner.ts';
import { unifiedDiff } from '../../../src/protocol/unified-diff.ts';

const path = '/etc/systemd/network/10-eth0.network';
const at = (address: string, prefixLength: number) => ({ address: parseAddress(address), prefixLength });

/** One subnet, no gateway, unless said otherwise. */
const change: AddressChange = {
  link: { name: 'eth0' },
  from: at('10.77.0.21', 24),
  to: at('10.77.0.121', 24),
};
const elsewhere: AddressChange = {
  ...change,
  to: at('10.79.0.121', 24),
  gateway: { from: parseAddress('10.77.0.1'), to: parseAddress('10.79.0.1') },
};

const file = (text: string, where = path): NetworkdFile => ({ path: where, bytes: fromByteText(text) });
const only = (...texts: string[]): NetworkdConfiguration => ({
  own: texts.map((text, index) => file(text, index === 0 ? path : `${path}.d/${index}.conf`)),
  others: [],
});

/** The lines that change, as `-old` and `+new`, of all files. */
function changedLines(configuration: NetworkdConfiguration, wanted = change): string[] {
  return editNetworkd(configuration, wanted).files.flatMap(({ path: where, before, after }) =>
    unifiedDiff(where, toByteText(before), toByteText(after))
      .split('\n')
      .filter((line) => /^[-+](?!-- |\+\+ )/.test(line)),
  );
}

function refusal(configuration: NetworkdConfiguration, wanted = change): [string, string] {
  try {
    editNetworkd(configuration, wanted);
  } catch (thrown) {
    if (thrown instanceof RlnetError) return [thrown.code, thrown.message];
    throw thrown;
  }
  return ['', ''];
}

describe('a change of an address in .network files', () => {
  it('follows the address into routes and rules with it, and nowhere else', () => {
    const text = [
      '# eth0 has 10.77.0.21',
      '[Network]',
      'DNS=10.77.0.21',
      'Address = 10.77.0.21/24',
      'Address=10.77.0.210/24',
      '[Route]',
      'Destination=10.99.0.0/24',
      'Gateway=10.77.0.1',
      'PreferredSource=10.77.0.21',
      '[RoutingPolicyRule]',
      'From=10.77.0.21',
      'To=10.77.0.21',
      '[RoutingPolicyRule]',
      'From=10.77.0.0/24',
      '[RoutingPolicyRule]',
      'From=10.77.0.21/32',
    ].join('\n');
    expect(changedLines(only(text))).toEqual([
      '-Address = 10.77.0.21/24',
      '+Address = 10.77.0.121/24',
      '-PreferredSource=10.77.0.21',
      '+PreferredSource=10.77.0.121',
      '-From=10.77.0.21',
      '+From=10.77.0.121',
      '-From=10.77.0.21/32',
      '+From=10.77.0.121/32',
    ]);
  });

  it('says what names the address and stays', () => {
    const rules = '[RoutingPolicyRule]\nTo=10.77.0.21\n[RoutingPolicyRule]\nFrom=10.77.0.21/24';
    const { warnings } = editNetworkd(
      only(`[Network]\nAddress=10.77.0.21/24\nDNS=10.77.0.21#ns\n${rules}`),
      change,
    );
    expect(warnings).toEqual([
      `${path}:3 (DNS=10.77.0.21#ns) names 10.77.0.21 and stays as it is.`,
      `${path}:5 (To=10.77.0.21) names 10.77.0.21 and stays as it is.`,
      `${path}:7 (From=10.77.0.21/24) names 10.77.0.21 and stays as it is.`,
    ]);
  });

  it('moves the gateway that it names, wherever the link has a route through it', () => {
    const text =
      '[Network]\nAddress=10.77.0.21/24\nGateway=10.77.0.1\n[Route]\nDestination=10.9.0.0/16\nMultiPathRoute=10.77.0.1@eth0 10\nMultiPathRoute=10.88.0.9@eth1\n';
    expect(changedLines(only(text), elsewhere)).toEqual([
      '-Address=10.77.0.21/24',
      '-Gateway=10.77.0.1',
      '+Address=10.79.0.121/24',
      '+Gateway=10.79.0.1',
      '-MultiPathRoute=10.77.0.1@eth0 10',
      '+MultiPathRoute=10.79.0.1@eth0 10',
    ]);
  });

  it('reaches into drop-ins and the files of other links, and writes the address last', () => {
    const configuration: NetworkdConfiguration = {
      own: [
        file('[Network]\nAddress=10.77.0.21/24\n'),
        file('[Route]\nPreferredSource=10.77.0.21\n', `${path}.d/50-route.conf`),
      ],
      others: [file('[RoutingPolicyRule]\nFrom=10.77.0.21\n', '/etc/systemd/network/20-eth1.network')],
    };
    expect(editNetworkd(configuration, change).files.map((edit) => edit.path)).toEqual([
      `${path}.d/50-route.conf`,
      '/etc/systemd/network/20-eth1.network',
      path,
    ]);
  });

  it('knows an address by its value, however it is written', () => {
    const ipv6: AddressChange = { ...change, from: at('fd77::21', 64), to: at('fd77::121', 64) };
    expect(changedLines(only('[Address]\nAddress=FD77:0:0::0021/64'), ipv6)).toEqual(
      ['-Address=FD77:0:0::0021/64', '\\ No newline at end of file', '+Address=fd77::121/64'].filter(
        (line) => !line.startsWith('\\'),
      ),
    );
  });

  it('finds the address where the lines of a file go on', () => {
    expect(changedLines(only('[Network]\nAddress=\\\n# here\n  10.77.0.21/24\n'))).toEqual([
      '-  10.77.0.21/24',
      '+  10.77.0.121/24',
    ]);
  });

  it.each([
    ['in no file', '[Network]\nDHCP=yes\n', 'OWNER_ADDRESS_NOT_FOUND'],
    ['only in a comment', '[Network]\n#Address=10.77.0.21/24\n', 'OWNER_ADDRESS_NOT_FOUND'],
    ['with another prefix length', '[Network]\nAddress=10.77.0.21/16\n', 'OWNER_ADDRESS_NOT_FOUND'],
    [
      'overwritten in its section',
      '[Address]\nAddress=10.77.0.21/24\nAddress=10.77.0.9/24\n',
      'OWNER_ADDRESS_NOT_FOUND',
    ],
    [
      'there twice',
      '[Network]\nAddress=10.77.0.21/24\n[Address]\nAddress=10.77.0.21/24\n',
      'OWNER_ADDRESS_TWICE',
    ],
    [
      'new and there already',
      '[Network]\nAddress=10.77.0.21/24\nAddress=10.77.0.121/24\n',
      'OWNER_ADDRESS_TWICE',
    ],
    ['without a prefix length', '[Network]\nAddress=10.77.0.21\n', 'OWNER_CHANGE_REFUSED'],
    [
      'of a point-to-point link',
      '[Address]\nAddress=10.77.0.21/24\nPeer=10.77.0.22/24\n',
      'OWNER_CHANGE_REFUSED',
    ],
    ['before an empty Address=', '[Network]\nAddress=10.77.0.21/24\nAddress=\n', 'OWNER_CHANGE_REFUSED'],
  ])('is refused where the address is %s', (_where, text, code) => {
    expect(refusal(only(text))).toEqual([code, expect.stringContaining('10.77.0')]);
  });

  it.each([
    ['a gateway that it would not reach', 'Gateway=10.77.0.1\n', '10.77.0.1'],
    [
      'a route to its old network',
      '[Route]\nDestination=10.77.0.0/24\nScope=link\n',
      'Destination=10.77.0.0/24',
    ],
  ])('to another network is refused for %s', (_what, more, evidence) => {
    const away: AddressChange = { ...change, to: elsewhere.to };
    expect(refusal(only(`[Network]\nAddress=10.77.0.21/24\n${more}`), away)).toEqual([
      'OWNER_CHANGE_REFUSED',
      expect.stringContaining(evidence),
    ]);
  });

  it('lets a gateway be where another address reaches it, or where it says so itself', () => {
    const away: AddressChange = { ...change, to: elsewhere.to };
    const other = '[Network]\nAddress=10.77.0.21/24\nAddress=10.77.0.22/24\nGateway=10.77.0.1\n';
    const onLink = '[Network]\nAddress=10.77.0.21/24\n[Route]\nGateway=10.77.0.1\nGatewayOnLink=yes\n';
    for (const text of [other, onLink]) expect(changedLines(only(text), away)).toHaveLength(2);
  });

  it('is refused where a file is not ours to edit, and only if it would have to change', () => {
    const main = file('[Network]\nAddress=10.77.0.21/24\n');
    const generated = {
      ...file('[Route]\nPreferredSource=10.77.0.21\n', '/run/x.conf'),
      refused: 'is generated',
    };
    expect(refusal({ own: [main, generated], others: [] })).toEqual([
      'OWNER_FILE_REFUSED',
      expect.stringContaining('/run/x.conf:2'),
    ]);
    const harmless = { ...generated, bytes: fromByteText('[Network]\nDNS=10.77.0.9\n') };
    expect(refusal({ own: [main, harmless], others: [] })).toEqual(['', '']);
  });
});

describe('any .network file', () => {
  const line = fc.constantFrom(
    ...[
      '# was 10.77.0.21',
      '; 10.77.0.21/24',
      '',
      '  ',
      '[Network]',
      '[Address]',
      '[Route]',
      '[RoutingPolicyRule]',
    ],
    ...[
      '[X-Ours]',
      '[Broken',
      'nonsense',
      'Address=10.78.0.5/24',
      'Gateway=10.77.0.1',
      ' Gateway = 10.77.0.1 ',
    ],
    ...[
      'Destination=10.99.0.0/16',
      'PreferredSource=10.77.0.21',
      'From=10.77.0.21',
      'From=10.77.0.0/24',
      'Table=7',
    ],
    ...[
      'DNS=10.77.0.21',
      'Domains=a \\',
      '  b',
      'Description=gr\u00c3\u00bc\u00c3\u009fe',
      '# \u00ff',
      'Metric=10',
    ],
  );
  const content = fc
    .record({
      before: fc.array(line, { maxLength: 15 }),
      after: fc.array(line, { maxLength: 15 }),
      newline: fc.constantFrom('\n', '\r\n'),
      ends: fc.boolean(),
    })
    .map(
      ({ before, after, newline, ends }) =>
        [...before, '# the address:', '[Network]', 'Address=10.77.0.21/24', ...after].join(newline) +
        (ends ? newline : ''),
    );
  const wanted = fc.constantFrom(change, elsewhere);

  const attempt = (text: string, which: AddressChange): string | undefined => {
    try {
      const [edit] = editNetworkd(only(text), which).files;
      return edit === undefined ? undefined : toByteText(edit.after);
    } catch (thrown) {
      if (thrown instanceof RlnetError) return undefined;
      throw thrown;
    }
  };

  it('is the same again after the change there and back', () => {
    let done = 0;
    fc.assert(
      fc.property(content, wanted, (text, which) => {
        const after = attempt(text, which);
        if (after === undefined) return;
        done++;
        // Back, a gateway that stays where it is must be of the network again.
        expect(attempt(after, reversed(which))).toBe(text);
      }),
      { numRuns: 1000 },
    );
    expect(done).toBeGreaterThan(100);
  });

  it('changes in lines that name the address or the gateway, in these words alone', () => {
    fc.assert(
      fc.property(content, wanted, (text, which) => {
        const after = attempt(text, which);
        if (after === undefined) return;
        const [old, next] = [text.split('\n'), after.split('\n')];
        expect(next).toHaveLength(old.length);
        for (const [index, line_] of old.entries()) {
          if (line_ === next[index]) continue;
          const expected = line_
            .replace('10.77.0.21', which.to.address)
            .replace('10.77.0.1', which.gateway?.to ?? '10.77.0.1');
          expect(line_).toMatch(/^ ?(Address|Gateway|PreferredSource|From) ?=/);
          expect(next[index]).toBe(expected);
        }
        const places = locateInNetworkd(only(after), which.to.address);
        expect(places.filter(({ sets }) => sets)).toHaveLength(1);
        expect(locateInNetworkd(only(after), which.from.address)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});
