import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bindingOf,
  editKeyfiles,
  type Keyfile,
  type KeyfileConfiguration,
  locateInKeyfiles,
  meaningOf,
} from '../../../src/host/network-owner/keyfile-edit.ts';
import { parseProfiles } from '../../../src/host/network-owner/network-manager.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { fromByteText, toByteText } from '../../../src/protocol/byte-text.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { reversed } from '../../../src/protocol/network-owner.ts';
import { unifiedDiff } from '../../../src/protocol/unified-diff.ts';

const path = '/etc/NetworkManager/system-connections/eth0.nmconnection';
const at = (address: string, prefixLength: number) => ({ address: parseAddress(address), prefixLength });

/** One subnet, no gateway, unless said otherwise. */
const change: AddressChange = {
  link: { name: 'eth0' },
  from: at('10.77.0.21', 24),
  to: at('10.77.0.121', 24),
};
const elsewhere: AddressChange = {
  ...change,
  to: at('10.79.0.121', 16),
  gateway: { from: parseAddress('10.77.0.1'), to: parseAddress('10.79.0.1') },
};

const file = (text: string, where = path): Keyfile => ({ path: where, bytes: fromByteText(text) });
const only = (text: string): KeyfileConfiguration => ({ own: file(text), others: [] });

/** The lines that change, as `-old` and `+new`, of all files. */
function changedLines(configuration: KeyfileConfiguration, wanted = change): string[] {
  return editKeyfiles(configuration, wanted).files.flatMap(({ path: where, before, after }) =>
    unifiedDiff(where, toByteText(before), toByteText(after))
      .split('\n')
      .filter((line) => /^[-+](?!-- |\+\+ )/.test(line)),
  );
}

function refusal(configuration: KeyfileConfiguration, wanted = change): [string, string] {
  try {
    editKeyfiles(configuration, wanted);
  } catch (thrown) {
    if (thrown instanceof RlnetError) return [thrown.code, thrown.message];
    throw thrown;
  }
  return ['', ''];
}

describe('a change of an address in a keyfile', () => {
  // NetworkManager 1.42 would exchange the primary address of a subnet for one in front of it, and lose the latter.
  it('puts the address behind those that the link has in the new subnet already', () => {
    const text = [
      '[ipv4]',
      'method=manual',
      'address1=10.77.0.21/24,10.77.0.1',
      'address3=10.79.0.23/16',
      'address10=10.79.4.24/16',
      'address2=10.78.0.22/24',
      'address20=10.80.0.25/16',
      'address4=10.79.0.26/24',
      '[ipv6]',
      'address1=fd79::21/64',
    ].join('\n');
    expect(changedLines(only(text), elsewhere)).toEqual([
      '-address1=10.77.0.21/24,10.77.0.1',
      '-address3=10.79.0.23/16',
      '-address10=10.79.4.24/16',
      '+address1=10.79.0.23/16',
      '+address3=10.79.4.24/16',
      '+address10=10.79.0.121/16,10.79.0.1',
    ]);
  });

  it('leaves it where it is otherwise', () => {
    const behind = '[ipv4]\naddress1=10.79.0.22/16\naddress2=10.77.0.21/24,10.77.0.1';
    expect(changedLines(only(behind), elsewhere)).toEqual([
      '-address2=10.77.0.21/24,10.77.0.1',
      '+address2=10.79.0.121/16,10.79.0.1',
    ]);
    // A swap within a subnet keeps the order in the kernel.
    expect(changedLines(only('[ipv4]\naddress1=10.77.0.21/24\naddress2=10.77.0.22/24'))).toEqual([
      '-address1=10.77.0.21/24',
      '+address1=10.77.0.121/24',
    ]);
  });

  it('follows the address into routes and rules with it, and nowhere else', () => {
    const text = [
      '# eth0 has 10.77.0.21',
      '[ipv4]',
      'method=manual',
      'dns=10.77.0.21;',
      'address1=10.77.0.210/24',
      'address2 = 10.77.0.21/24',
      'route1=10.99.0.0/24,10.77.0.1,5',
      'route1_options=table=7,src=10.77.0.21,onlink=true',
      'routing-rule1=priority 5 from 10.77.0.21 table 7',
      'routing-rule2=priority 6 from 10.77.0.21/32 to 10.77.0.21 table 7',
      'routing-rule3=priority 7 from 10.77.0.0/24 table 7',
    ].join('\n');
    expect(changedLines(only(text))).toEqual([
      '-address2 = 10.77.0.21/24',
      '+address2 = 10.77.0.121/24',
      '-route1_options=table=7,src=10.77.0.21,onlink=true',
      '-routing-rule1=priority 5 from 10.77.0.21 table 7',
      '-routing-rule2=priority 6 from 10.77.0.21/32 to 10.77.0.21 table 7',
      '+route1_options=table=7,src=10.77.0.121,onlink=true',
      '+routing-rule1=priority 5 from 10.77.0.121 table 7',
      '+routing-rule2=priority 6 from 10.77.0.121/32 to 10.77.0.21 table 7',
    ]);
  });

  it('moves the gateway that it names, in an address, in a route and by itself', () => {
    const text =
      '[ipv4]\naddress1=10.77.0.21/24,10.77.0.1\ngateway=10.77.0.1\nroute1=10.9.0.0/16,10.77.0.1\nroute2=10.8.0.0/16,10.88.0.9\n';
    expect(changedLines(only(text), elsewhere)).toEqual([
      '-address1=10.77.0.21/24,10.77.0.1',
      '-gateway=10.77.0.1',
      '-route1=10.9.0.0/16,10.77.0.1',
      '+address1=10.79.0.121/16,10.79.0.1',
      '+gateway=10.79.0.1',
      '+route1=10.9.0.0/16,10.79.0.1',
    ]);
  });

  it('keeps the separators of old keyfiles', () => {
    expect(changedLines(only('[ipv4]\naddresses1=10.77.0.21;24;10.77.0.1;\n'), elsewhere)).toEqual([
      '-addresses1=10.77.0.21;24;10.77.0.1;',
      '+addresses1=10.79.0.121;16;10.79.0.1;',
    ]);
  });

  it('knows an address by its value, however it is written', () => {
    const ipv6: AddressChange = { ...change, from: at('fd77::21', 64), to: at('fd77::121', 64) };
    expect(changedLines(only('[ipv6]\naddress1=FD77:0:0::0021/64,fe80::1\n'), ipv6)).toEqual([
      '-address1=FD77:0:0::0021/64,fe80::1',
      '+address1=fd77::121/64,fe80::1',
    ]);
  });

  it('reaches into the profiles of other links, and writes the address last', () => {
    const rule = file('[ipv4]\nrouting-rule1=priority 5 from 10.77.0.21 table 7\n', '/etc/eth1.nmconnection');
    const configuration = { own: file('[ipv4]\naddress1=10.77.0.21/24\n'), others: [rule] };
    expect(editKeyfiles(configuration, change).files.map((edit) => edit.path)).toEqual([rule.path, path]);
  });

  it('says what names the address and stays, and that a profile does not come up at boot', () => {
    const text =
      '[connection]\nautoconnect=false\n[ipv4]\naddress1=10.77.0.21/24\ndns=10.77.0.21;\n[proxy]\npac-url=http://10.77.0.21/\n';
    expect(editKeyfiles(only(text), change).warnings).toEqual([
      `${path}:5 (dns=10.77.0.21;) names 10.77.0.21 and stays as it is.`,
      `${path}:7 (pac-url=http://10.77.0.21/) names 10.77.0.21 and stays as it is.`,
      `${path} has autoconnect=false: NetworkManager does not activate it at boot by itself.`,
    ]);
    expect(locateInKeyfiles(only(text), change.from.address).map(({ sets }) => sets)).toEqual([false]);
  });

  it.each([
    ['in no setting', '[ipv4]\nmethod=auto\n', 'OWNER_ADDRESS_NOT_FOUND'],
    ['only in a comment', '[ipv4]\n#address1=10.77.0.21/24\n', 'OWNER_ADDRESS_NOT_FOUND'],
    ['with another prefix length', '[ipv4]\naddress1=10.77.0.21/16\n', 'OWNER_ADDRESS_NOT_FOUND'],
    ['in the section of the other family', '[ipv6]\naddress1=10.77.0.21/24\n', 'OWNER_ADDRESS_NOT_FOUND'],
    ['under a number that is none', '[ipv4]\naddress01=10.77.0.21/24\n', 'OWNER_ADDRESS_NOT_FOUND'],
    [
      'overwritten by the same key again',
      '[ipv4]\naddress1=10.77.0.21/24\n[ipv6]\nmethod=ignore\n[ipv4]\naddress1=10.77.0.9/24\n',
      'OWNER_ADDRESS_NOT_FOUND',
    ],
    ['there twice', '[ipv4]\naddress1=10.77.0.21/24\naddress2=10.77.0.21/25\n', 'OWNER_ADDRESS_TWICE'],
    [
      'new and there already',
      '[ipv4]\naddress1=10.77.0.21/24\naddress2=10.77.0.121/24\n',
      'OWNER_ADDRESS_TWICE',
    ],
    ['without a prefix length', '[ipv4]\naddress1=10.77.0.21\n', 'OWNER_CHANGE_REFUSED'],
  ])('is refused where the address is %s', (_where, text, code) => {
    expect(refusal(only(text))).toEqual([code, expect.stringContaining('10.77.0')]);
  });

  it.each([
    ['a gateway that it would not reach', 'gateway=10.77.0.1\n', '10.77.0.1'],
    ['a route to its old network', 'route1=10.77.0.0/24,0.0.0.0,5\n', 'route1=10.77.0.0/24'],
  ])('to another network is refused for %s', (_what, more, evidence) => {
    const away: AddressChange = { ...change, to: elsewhere.to };
    expect(refusal(only(`[ipv4]\naddress1=10.77.0.21/24\n${more}`), away)).toEqual([
      'OWNER_CHANGE_REFUSED',
      expect.stringContaining(evidence),
    ]);
  });

  it('lets a gateway be where another address reaches it, or where it says so itself', () => {
    const away: AddressChange = { ...change, to: elsewhere.to };
    const other = '[ipv4]\naddress1=10.77.0.21/24\naddress2=10.77.0.22/24\ngateway=10.77.0.1\n';
    const onLink =
      '[ipv4]\naddress1=10.77.0.21/24\nroute1=10.9.0.0/16,10.77.0.1\nroute1_options=onlink=true\n';
    for (const text of [other, onLink]) expect(changedLines(only(text), away)).toHaveLength(2);
  });

  it('is refused where a file is not ours to edit, and only if it would have to change', () => {
    const own = file('[ipv4]\naddress1=10.77.0.21/24\n');
    const made = { ...file('[ipv4]\nrouting-rule1=from 10.77.0.21 table 7\n', '/run/x'), refused: 'is made' };
    expect(refusal({ own, others: [made] })).toEqual([
      'OWNER_FILE_REFUSED',
      expect.stringContaining('/run/x:2'),
    ]);
    const harmless = { ...made, bytes: fromByteText('[ipv4]\ndns=10.77.0.21;\n') };
    expect(refusal({ own, others: [harmless] })).toEqual(['', '']);
  });
});

describe('any keyfile', () => {
  const line = fc.constantFrom(
    ...['# was 10.77.0.21', '#10.77.0.21/24', '', '[ipv4]', '[ipv6]', '[user]', '[connection]'],
    ...['address3=10.78.0.5/24', 'addresses2=10.78.0.6;24;', 'gateway=10.77.0.1', ' gateway = 10.77.0.1 '],
    ...['route1=10.99.0.0/16,10.77.0.1', 'route1_options=src=10.77.0.21,mtu=1400', 'route2=10.98.0.0/16'],
    ...['routing-rule1=priority 5 from 10.77.0.21 table 7', 'routing-rule2=from 10.77.0.0/24 table 8'],
    ...['dns=10.77.0.21;10.77.0.1;', 'dns-search=a;b;', 'id=gr\u00c3\u00bc\u00c3\u009fe', 'may-fail=false'],
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
        [...before, '# the address:', '[ipv4]', 'address1=10.77.0.21/24', ...after].join(newline) +
        (ends ? newline : ''),
    );
  const wanted = fc.constantFrom(change, elsewhere);

  const attempt = (text: string, which: AddressChange): string | undefined => {
    try {
      const [edit] = editKeyfiles(only(text), which).files;
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
            .replace('10.77.0.21/24', `${which.to.address}/${which.to.prefixLength}`)
            .replace('10.77.0.21', which.to.address)
            .replace('10.77.0.1', which.gateway?.to ?? '10.77.0.1');
          expect(line_).toMatch(/^ ?(address1|gateway|route1|route1_options|routing-rule1) ?=/);
          expect(next[index]).toBe(expected);
        }
        const places = locateInKeyfiles(only(after), which.to.address);
        expect(places.filter(({ sets }) => sets)).toHaveLength(1);
        expect(locateInKeyfiles(only(after), which.from.address)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('what a keyfile means', () => {
  it('is the same however it is written', () => {
    const [old, plain] = [
      '[ipv4]\naddresses1=10.77.0.21;24;10.77.0.1;\nrouting-rule1=priority 5 from 10.77.0.21/32 table 7\n[ipv6]\naddress=FD77:0::0021/64\n',
      '[ipv4]\naddress1=10.77.0.21/24,10.77.0.1\nrouting-rule1=priority 5 from 10.77.0.21 table 7\n[ipv6]\naddress1=fd77::21/64\n',
    ].map((text) => meaningOf(fromByteText(text)));
    expect(old).toEqual(plain);
    expect(old).toEqual(['address 10.77.0.21', 'address fd77::21', 'dependent 10.77.0.21']);
  });

  it('has the card to which it is bound, by either name of its section', () => {
    expect(bindingOf(file('[connection]\ninterface-name=eth0\n'))).toEqual({ name: 'eth0' });
    for (const section of ['ethernet', '802-3-ethernet']) {
      expect(bindingOf(file(`[${section}]\nmac-address=52:54:00:AB:00:01\n`))).toEqual({
        mac: '52:54:00:ab:00:01',
      });
    }
  });
});

it('takes colons in the names of files that nmcli lists for what they are', () => {
  const listed = 'u-1:eth0:802-3-ethernet:/etc/a\\:b\\\\c.nmconnection\nu-2::vpn:\n';
  expect(parseProfiles(listed)).toEqual([
    { uuid: 'u-1', device: 'eth0', type: '802-3-ethernet', named: '/etc/a:b\\c.nmconnection' },
    { uuid: 'u-2', device: undefined, type: 'vpn', named: '' },
  ]);
});
