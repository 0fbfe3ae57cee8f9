import { expect, it } from 'vitest';
import { parsePaths } from '../../../src/host/paths.ts';

/** As `ss -tinH state established state syn-recv` of iproute2 6.1 printed it, with details cut short. */
const printed = `ESTAB    0      86     [fd77:0:0:1::21]:44753 [fd77:0:0:1::23]:9470
	 bbr wscale:10,10 rto:216 rtt:12.402/18.608 ato:40 mss:1428 pmtu:1500 rcvmss:1428 advmss:1428 cwnd:164
SYN-RECV 0      0      [fd77:0:0:1::21]:9470  [fd77:0:0:1::22]:35389
ESTAB    0      0             10.77.0.21:9470         10.77.0.24:51012
	 cubic wscale:10,10 rto:204 rtt:0.4/0.2 mss:1398 pmtu:1450 rcvmss:1398 advmss:1448 cwnd:10
`;

it('knows the path MTU to the other end of each socket, and who gets no answer', () => {
  const { mtus, unanswered } = parsePaths(printed);
  expect([...mtus]).toEqual([
    ['fd77:0:0:1::23', 1500],
    ['10.77.0.24', 1450],
  ]);
  expect([...unanswered]).toEqual(['fd77:0:0:1::22']);
});

it('knows nothing where there is nothing to read', () => {
  expect(parsePaths('')).toEqual({ mtus: new Map(), unanswered: new Set() });
});
