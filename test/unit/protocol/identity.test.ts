import { expect, it, test } from 'vitest';
import { formatIdentity, identityFromSubjectAltName } from '../../../src/protocol/identity.ts';

it('is read back from the URI it is written as', () => {
  const identity = { cluster: 'eu-west.example', host: 'n1' };
  expect(identityFromSubjectAltName(`DNS:n1.example.net, URI:${formatIdentity(identity)}`)).toEqual(identity);
});

test.for([
  [undefined, 'there are no names'],
  ['DNS:n1.example.net, IP Address:192.0.2.1', 'none is an rlnet URI'],
  ['URI:rlnet://demo/host/n1, URI:rlnet://demo/host/n2', 'there are two, and either could be meant'],
  ['URI:rlnet://demo/host/', 'the host has no name'],
  ['URI:rlnet://demo/node/1', 'it is not a host'],
  ['URI:rlnet://demo/host/n1/x', 'it goes on after the name'],
  ['URI:rlnet://de mo/host/n1', 'the name holds a blank'],
  ['URI:"rlnet://demo/host/n1\\u002c x"', 'Node had to quote it'],
  ['DNS:rlnet://demo/host/n1', 'it is a DNS name that looks like one'],
])('%s names nobody: %s', ([names]) => {
  expect(identityFromSubjectAltName(names)).toBeUndefined();
});
