import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EditableFile } from '../../../src/host/network-owner/mentions.ts';
import { editNetplan, locateInNetplan } from '../../../src/host/network-owner/netplan-edit.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { fromByteText, toByteText } from '../../../src/protocol/byte-text.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { reversed } from '../../../src/protocol/network-owner.ts';
import { unifiedDiff } from '../../../src/protocol/unified-diff.ts';

const at = (address: string, prefixLength: number) => ({ address: parseAddress(address), prefixLength });
const change: AddressChange = {
  link: { name: 'eth0', mac: '52:54:00:77:00:21' },
  from: at('10.77.0.21', 24),
  to: at('10.77.0.121', 24),
};
const elsewhere: AddressChange = {
  ...change,
  to: at('10.79.0.121', 24),
  gateway: { from: parseAddress('10.77.0.1'), to: parseAddress('10.79.0.1') },
};
const ipv6: AddressChange = { ...change, from: at('fd77::21', 64), to: at('fd77::121', 64) };

const files = (...texts: string[]): EditableFile[] =>
  texts.map((text, index) => ({ path: `/etc/netplan/${index}.yaml`, bytes: fromByteText(text) }));
/** One link as people have it. */
const eth0 = (...lines: string[]): EditableFile[] =>
  files(['network:', '  ethernets:', '    eth0:', ...lines.map((line) => `      ${line}`), ''].join('\n'));

/** The lines that change, as `-old` and `+new`, of all files. */
function changedLines(configuration: readonly EditableFile[], wanted = change): string[] {
  return editNetplan(configuration, wanted).files.flatMap(({ path, before, after }) =>
    unifiedDiff(path, toByteText(before), toByteText(after))
      .split('\n')
      .filter((line) => /^[-+](?!-- |\+\+ )/.test(line)),
  );
}

function refusal(configuration: readonly EditableFile[], wanted = change): [string, string] {
  try {
    editNetplan(configuration, wanted);
  } catch (thrown) {
    if (thrown instanceof RlnetError) return [thrown.code, thrown.message];
    throw thrown;
  }
  return ['', ''];
}

describe('a change of an address in netplan’s files', () => {
  const rich = files(
    `# eth0 has 10.77.0.21
network:
  version: 2
  ethernets:
    eth0:
      addresses:
      - 10.77.0.20/24
      - "10.77.0.21/24"   # ours
      - 'fd77::21/64'
      nameservers: {addresses: [10.77.0.21]}
      routes:
      - to: default
        via: 10.77.0.1
        from: 10.77.0.21
      routing-policy:
      - from: 10.77.0.21/32
        table: 7
      - {to: 10.77.0.21, table: 8}
      - from: 10.77.0.0/24
        table: 9
`,
    `network:
  ethernets:
    eth1:
      addresses: [10.88.0.21/24]
      routing-policy: [{from: 10.77.0.21, to: 10.88.0.0/24, table: 254}]
`,
  );

  it('follows the address into routes and rules with it, of other links too, and nowhere else', () => {
    expect(changedLines(rich)).toEqual([
      '-      routing-policy: [{from: 10.77.0.21, to: 10.88.0.0/24, table: 254}]',
      '+      routing-policy: [{from: 10.77.0.121, to: 10.88.0.0/24, table: 254}]',
      '-      - "10.77.0.21/24"   # ours',
      '+      - "10.77.0.121/24"   # ours',
      '-        from: 10.77.0.21',
      '+        from: 10.77.0.121',
      '-      - from: 10.77.0.21/32',
      '+      - from: 10.77.0.121/32',
    ]);
  });

  it('says what names the address and stays, and locates the rest', () => {
    expect(editNetplan(rich, change).warnings).toEqual([
      '/etc/netplan/0.yaml:10 (nameservers: {addresses: [10.77.0.21]}) names 10.77.0.21 and stays as it is.',
      '/etc/netplan/0.yaml:18 (- {to: 10.77.0.21, table: 8}) names 10.77.0.21 and stays as it is.',
    ]);
    const places = locateInNetplan(rich, change.link, change.from.address);
    expect(places.map(({ line, sets }) => [line, sets])).toEqual([
      [8, true],
      [14, false],
      [16, false],
      [5, false],
    ]);
  });

  it('moves the gateway that it names, as a route and as gateway4, in all files', () => {
    const two = files(
      'network: {ethernets: {eth0: {addresses: [10.77.0.21/24], gateway4: 10.77.0.1}}}\n',
      'network: {ethernets: {eth0: {gateway4: 10.77.0.1, routes: [{to: 10.9.0.0/16, via: 10.77.0.1}]}}}\n',
    );
    expect(changedLines(two, elsewhere)).toEqual([
      '-network: {ethernets: {eth0: {gateway4: 10.77.0.1, routes: [{to: 10.9.0.0/16, via: 10.77.0.1}]}}}',
      '+network: {ethernets: {eth0: {gateway4: 10.79.0.1, routes: [{to: 10.9.0.0/16, via: 10.79.0.1}]}}}',
      '-network: {ethernets: {eth0: {addresses: [10.77.0.21/24], gateway4: 10.77.0.1}}}',
      '+network: {ethernets: {eth0: {addresses: [10.79.0.121/24], gateway4: 10.79.0.1}}}',
    ]);
  });

  it.each([
    ['with options', ['addresses:', '- 10.77.0.21/24: {label: "eth0:rs", lifetime: 0}']],
    ['as a block', ['addresses:', '- >-', '  10.77.0.21/24']],
    ['with a tag', ['addresses: [!!str "10.77.0.21/24"]']],
    ['over lines that end as on other systems', ['addresses:\r', '- 10.77.0.21/24\r']],
    ['beside a key that is there twice', ['addresses: [10.77.0.20/24]', 'addresses: [10.77.0.21/24]']],
    ['by an anchor that nobody names', ['addresses: [&main 10.77.0.21/24]']],
  ])('changes an address that is written %s', (_how, lines) => {
    const changed = changedLines(eth0(...lines));
    expect(changed).toHaveLength(2);
    expect(changed[1]).toBe(changed[0]?.replace('10.77.0.21/24', '10.77.0.121/24').replace('-', '+'));
  });

  it('keeps a byte order mark, and comments that are not ASCII', () => {
    const text = `\ufeff# für 10.77.0.21\nnetwork:\n  ethernets:\n    eth0: {addresses: [10.77.0.21/24]}\n`;
    const bytes = Buffer.from(text, 'utf8');
    const [edit] = editNetplan([{ path: '/etc/netplan/a.yaml', bytes }], change).files;
    expect(Buffer.from(edit?.after ?? []).toString('utf8')).toBe(
      text.replace('10.77.0.21/24', '10.77.0.121/24'),
    );
  });

  it('puts quotes around an address that ends in a colon, which YAML would take for a key', () => {
    const to = {
      ...ipv6,
      to: at('fd78::', 64),
      gateway: { from: parseAddress('fd77::1'), to: parseAddress('fd78::') },
    };
    const lines = [
      'addresses: ["fd77::21/64"]',
      'gateway6: fd77::1',
      'routes:',
      '- to: default',
      '  from: fd77::21',
    ];
    const wanted = { ...to, to: at('fd78::5', 64) };
    expect(changedLines(eth0(...lines), wanted)).toContain('+      gateway6: "fd78::"');
  });

  it.each([
    ['by its name', 'eth0: {addresses: [10.77.0.21/24]}'],
    ['by a pattern', 'lan: {match: {name: "eth[0-3]"}, addresses: [10.77.0.21/24]}'],
    ['by MAC address', 'lan: {match: {macaddress: "52:54:00:77:00:21"}, addresses: [10.77.0.21/24]}'],
    ['by the name that it gives', 'lan: {match: {driver: x}, set-name: eth0, addresses: [10.77.0.21/24]}'],
    ['by its driver alone', 'lan: {match: {driver: virtio_net}, addresses: [10.77.0.21/24]}'],
  ])('knows the link %s', (_how, definition) => {
    expect(changedLines(files(`network: {ethernets: {${definition}}}\n`))).toHaveLength(2);
  });

  it.each([
    [
      'an alias',
      'OWNER_CHANGE_REFUSED',
      files('network: {ethernets: {eth0: {addresses: &a [10.77.0.21/24]}, eth1: {addresses: *a}}}'),
    ],
    ['escapes', 'OWNER_CHANGE_REFUSED', eth0('addresses: ["10.77.0.2\\x31/24"]')],
    [
      'another link',
      'OWNER_ADDRESS_NOT_FOUND',
      files('network: {ethernets: {eth1: {addresses: [10.77.0.21/24]}}}'),
    ],
    ['another prefix length', 'OWNER_ADDRESS_NOT_FOUND', eth0('addresses: [10.77.0.21/16]')],
    [
      'two files',
      'OWNER_ADDRESS_TWICE',
      [...eth0('addresses: [10.77.0.21/24]'), ...eth0('addresses: [10.77.0.21/24]')],
    ],
    ['the new address too', 'OWNER_ADDRESS_TWICE', eth0('addresses: [10.77.0.21/24, 10.77.0.121/24]')],
    [
      'two definitions of the link',
      'OWNER_AMBIGUOUS',
      files('network: {ethernets: {eth0: {addresses: [10.77.0.21/24]}, all: {match: {name: "e*"}}}}'),
    ],
    ['what is no YAML', 'OWNER_FILE_REFUSED', files('network: [')],
    [
      'a file that a boot makes anew',
      'OWNER_FILE_REFUSED',
      eth0('addresses: [10.77.0.21/24]').map((file) => ({
        ...file,
        refused: 'is generated anew at each boot',
      })),
    ],
  ])('is refused for %s, with %s', (_what, code, configuration) => {
    expect(refusal(configuration)[0]).toBe(code);
  });

  it('is refused where a route would lose its gateway or keep the old network on the link', () => {
    const away = { ...change, to: elsewhere.to };
    const lost = eth0('addresses: [10.77.0.21/24]', 'routes: [{to: default, via: 10.77.0.1}]');
    expect(refusal(lost, away)[1]).toContain('would have a gateway outside 10.79.0.121/24');
    expect(refusal(lost, elsewhere)).toEqual(['', '']);
    const onLink = eth0(
      'addresses: [10.77.0.21/24]',
      'routes: [{to: default, via: 10.77.0.1, on-link: true}]',
    );
    expect(refusal(onLink, away)).toEqual(['', '']);
    const old = eth0('addresses: [10.77.0.21/24]', 'routes: [{to: 10.77.0.0/24, scope: link, table: 7}]');
    expect(refusal(old, away)[1]).toContain('puts the old network, 10.77.0.0/24, on the link');
    expect(refusal(old, change)).toEqual(['', '']);
  });
});

describe('any of netplan’s files', () => {
  const item = fc.constantFrom(
    '- 10.77.0.22/24',
    '- "fd77::21/64" # 10.77.0.21',
    "- '10.77.0.210/24'",
    '# 10.77.0.21/24 would be here',
    '- 10.77.0.20/24: {label: a}',
    '',
  );
  const rule = fc.constantFrom(
    '- from: 10.77.0.21\n        table: 7',
    '- {from: 10.77.0.21/32, to: 10.77.0.21, table: 8}',
    '- {from: 10.77.0.0/24, table: 9}',
    '- to: "10.77.0.21"\n        table: 10',
    '- {from: "10.77.0.21", table: 11} # 10.77.0.21',
  );
  const text = fc
    .record({
      before: fc.array(item, { maxLength: 4 }),
      after: fc.array(item, { maxLength: 4 }),
      holder: fc.constantFrom('- 10.77.0.21/24', '- "10.77.0.21/24"', "- '10.77.0.21/24': {lifetime: 0}"),
      rules: fc.array(rule, { maxLength: 4 }),
      newline: fc.constantFrom('\n', '\r\n'),
    })
    .map(({ before, after, holder, rules, newline }) =>
      [
        'network:',
        '  # für alle',
        '  ethernets:',
        '    eth0:',
        '      gateway4: 10.77.0.1',
        '      addresses:',
        ...[...before, holder, ...after].map((line) => `      ${line}`),
        ...(rules.length === 0 ? [] : ['      routing-policy:', ...rules.map((line) => `      ${line}`)]),
        '',
      ]
        .join('\n')
        .replaceAll('\n', newline),
    );
  const wanted = fc.constantFrom(change, elsewhere);
  const edited = (given: readonly EditableFile[], which: AddressChange): EditableFile[] => {
    const edits = editNetplan(given, which).files;
    return given.map((file) => ({
      ...file,
      bytes: edits.find(({ path }) => path === file.path)?.after ?? file.bytes,
    }));
  };

  it('is the same again after the change there and back', () => {
    fc.assert(
      fc.property(text, wanted, (content, which) => {
        const given = files(content);
        expect(edited(edited(given, which), reversed(which))).toEqual(given);
      }),
    );
  });

  it('changes in lines that name the address or the gateway, in these words alone', () => {
    fc.assert(
      fc.property(text, wanted, (content, which) => {
        const [file] = edited(files(content), which);
        const next = toByteText(file?.bytes ?? new Uint8Array()).split('\n');
        const old = toByteText(fromByteText(content)).split('\n');
        expect(next).toHaveLength(old.length);
        for (const [index, line] of old.entries()) {
          if (line === next[index]) continue;
          expect(line).toMatch(/10\.77\.0\.(21|1)\b/);
          const replaced = next[index]
            ?.replaceAll(which.to.address, which.from.address)
            .replaceAll(which.gateway?.to ?? 'none', which.gateway?.from ?? '');
          expect(replaced).toBe(line);
        }
      }),
    );
  });
});
