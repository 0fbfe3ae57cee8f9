import { expect, it } from 'vitest';
import { createClock } from '../../../src/host/clock.ts';
import { createInterfaces } from '../../../src/host/interfaces.ts';
import type { Exec } from '../../../src/host/ports/exec.ts';
import { createWire } from '../../../src/host/wire.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { execWithPrograms } from '../../support/programs.ts';

const eth0 = JSON.stringify([
  {
    ifindex: 2,
    ifname: 'eth0',
    flags: ['UP', 'LOWER_UP'],
    mtu: 1500,
    operstate: 'UP',
    link_type: 'ether',
    address: '52:54:00:00:00:01',
    addr_info: [],
  },
]);
const question = { interface: 'eth0', address: parseAddress('192.0.2.5') };

function wireWith(exec: Exec) {
  const clock = createClock();
  return createWire(exec, createInterfaces(exec, clock), clock);
}

it('does not know, and does not call the address free, without arping', async () => {
  const exec = await execWithPrograms({ ip: `echo '${eth0}'` });
  const without: Exec = {
    ...exec,
    run: (file, args, options) => {
      const elsewhere = args.map((word) => (word === 'arping' ? '/nowhere/arping' : word));
      return exec.run(file, elsewhere, options);
    },
  };
  await expect(wireWith(without).ask(question)).resolves.toEqual({
    outcome: 'unknown',
    why: expect.stringMatching(
      /^arping .* ended with exit status 127: timeout: .*No such file or directory$/,
    ),
  });
});

it.each([
  [
    'another program of that name',
    `echo 'ARPING 192.0.2.5'; echo '1 packets transmitted, 0 packets received'`,
  ],
  ['one that says nothing', 'exit 0'],
  ['one that may not', `echo 'arping: socket: Operation not permitted' >&2; exit 2`],
])('does not know with an arping that is %s', async (_, script) => {
  const exec = await execWithPrograms({ ip: `echo '${eth0}'`, arping: script });
  await expect(wireWith(exec).ask(question)).resolves.toMatchObject({ outcome: 'unknown' });
});

it('says what ip says where the neighbour tables cannot be read', async () => {
  const exec = await execWithPrograms({ ip: 'echo no netlink >&2; exit 1' });
  await expect(wireWith(exec).neighbours()).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: 'ip -j neigh show nud all ended with exit status 1: no netlink',
  });
});
