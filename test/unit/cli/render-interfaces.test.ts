import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { renderInterfaces } from '../../../src/cli/render/interfaces.ts';
import { parseIpAddr } from '../../../src/host/interfaces.ts';
import { chooseAddresses, judgeAddresses, type Wanted } from '../../../src/protocol/address-choice.ts';
import { choiceHosts } from '../../support/choice-hosts.ts';

async function shown(name: string, wanted: Wanted = {}): Promise<string> {
  const captured = new URL(`../../fixtures/ip-addr/choice/${name}.json`, import.meta.url);
  const [first, ...others] = parseIpAddr(await readFile(captured, 'utf8'));
  if (first === undefined) throw new Error(`${name} has no link`);
  const interfaces = [{ ...first, path: 'pci0000:00/0000:00:03.0' }, ...others];
  const addresses = judgeAddresses(interfaces, wanted);
  return renderInterfaces({ host: 'n1', interfaces, addresses, choice: chooseAddresses(interfaces, wanted) });
}

test('interfaces show what each address is, what it could be, and why not', async () => {
  const text = await shown('docker');
  expect(text).toMatch(/^lo +active .* pci0000:00\/0000:00:03\.0$/m);
  expect(text).toMatch(/^docker0 +active +bridge +[0-9a-f:]{17} +1500 +- +- +-$/m);
  expect(text).toMatch(/^eth0 +192\.0\.2\.10\/24 +permanent global +internal, external +-$/m);
  expect(text).toMatch(
    /^docker0 +172\.17\.0\.1\/16 +permanent global docker +no +docker: docker0 is a bridge of/m,
  );
  expect(text).toMatch(/^lo +127\.0\.0\.1\/8 +permanent loopback on_loopback +scope host +no +loopback: /m);
  expect(text).toMatch(/\nchosen: internal 192\.0\.2\.10, external 192\.0\.2\.10\n {2}IPv4 inside: /);
});

test('interfaces show an address that could not be read', async () => {
  expect(await shown('ipv4-in-ipv6')).toMatch(
    /^eth0 +::ffff:1\.2\.3\.4\/96 +unread +no +unread: .*1\.2\.3\.4/m,
  );
});

test('interfaces end with the question where two addresses are equally good, and with the reason where none is', async () => {
  expect(await shown('two-nics')).toMatch(
    /\nambiguous: choose the internal address from 192\.0\.2\.10, 198\.51\.100\.10\n {2}2 addresses .*\n$/,
  );
  expect(await shown('nothing')).toMatch(/\nnone: no_candidate\n {2}None of 2 addresses .*\n$/);
});

test('interfaces of every host have a line for each address', async () => {
  for (const { name, addresses } of choiceHosts) {
    const text = await shown(name);
    for (const [interfaceName, address] of addresses.map((line) => line.split(' ')))
      if (!address?.startsWith('temporary'))
        expect(text).toMatch(new RegExp(`^${interfaceName} +${address} `, 'm'));
  }
});
