import { expect, it } from 'vitest';
import { createWireReports } from '../../../src/agent/wire-reports.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import type { WireAnswer } from '../../../src/protocol/wire.ts';

const bound = (text: string, prefixLength: number) => ({
  address: parseAddress(text),
  prefixLength,
  scope: 'global',
  flags: [],
});
const up = { mtu: 1500, operState: 'up', flags: ['UP', 'LOWER_UP'] };
const links: NetworkInterface[] = [
  { index: 2, name: 'eth0', ...up, addresses: [bound('192.0.2.1', 24)] },
  { index: 3, name: 'eth1', ...up, addresses: [bound('192.0.2.9', 24), bound('198.51.100.1', 24)] },
];
const silent: WireAnswer = { outcome: 'silent', probes: 7 };

/** A wire that answers when the test says so. */
function heldWire() {
  const asked: string[] = [];
  const answers: ((answer: WireAnswer) => void)[] = [];
  const wire = {
    ask: (question: { interface: string; address: string }) => {
      asked.push(`${question.interface} ${question.address}`);
      const { promise, resolve } = Promise.withResolvers<WireAnswer>();
      answers.push(resolve);
      return promise;
    },
  };
  const answerAll = () => {
    for (const answer of answers.splice(0)) answer(silent);
  };
  return { asked, wire, answerAll, reports: createWireReports('n1', { read: async () => links }, wire) };
}

it('asks on every interface that has the subnet, and says where the host has the address itself', async () => {
  const { asked, answerAll, reports } = heldWire();
  const report = reports(parseAddress('192.0.2.9'));
  await expect.poll(() => asked).toEqual(['eth0 192.0.2.9', 'eth1 192.0.2.9']);
  answerAll();
  await expect(report).resolves.toEqual({
    host: 'n1',
    bound: ['eth1'],
    asked: [
      { interface: 'eth0', answer: silent },
      { interface: 'eth1', answer: silent },
    ],
  });
});

it('sends nothing for an address that is not on-link', async () => {
  const { asked, reports } = heldWire();
  await expect(reports(parseAddress('203.0.113.1'))).resolves.toEqual({ host: 'n1', bound: [], asked: [] });
  expect(asked).toEqual([]);
});

it('asks once for all who want the same address at a time, and for no other meanwhile', async () => {
  const { asked, answerAll, reports } = heldWire();
  const both = [reports(parseAddress('198.51.100.7')), reports(parseAddress('198.51.100.7'))];
  await expect(reports(parseAddress('198.51.100.8'))).rejects.toMatchObject({
    code: 'WIRE_BUSY',
    retryable: true,
  });
  await expect.poll(() => asked).toEqual(['eth1 198.51.100.7']);
  answerAll();
  const [first, second] = await Promise.all(both);
  expect(first).toEqual(second);
  const next = reports(parseAddress('198.51.100.8'));
  await expect.poll(() => asked).toHaveLength(2);
  answerAll();
  await expect(next).resolves.toMatchObject({ asked: [{ interface: 'eth1' }] });
});
