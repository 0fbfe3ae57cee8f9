import { expect, it, test } from 'vitest';
import { readMemoryFile } from '../../../src/host/memory-file.ts';
import { createVitalsReader, parsePortRange, parsePortRanges } from '../../../src/host/vitals.ts';
import { errnoOf } from '../../../src/protocol/errors.ts';

const inOrder: Record<string, string> = {
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
  '/proc/sys/net/ipv4/ip_local_reserved_ports': '\n',
  '/proc/sys/net/ipv6/conf/all/disable_ipv6': '0\n',
  '/proc/sys/net/ipv6/conf/lo/disable_ipv6': '0\n',
  '/proc/net/udp': '  sl  local_address\n  12: 0100007F:0035 00000000:0000 07\n',
};

/** Reads a host that has these files and no others. */
async function readWith(changes: Record<string, string | undefined>) {
  const files: Record<string, string | undefined> = { ...inOrder, ...changes };
  return await createVitalsReader((path) => files[path], ['/']).read();
}

it('reads this machine, whatever it is like', async () => {
  const vitals = await createVitalsReader(readMemoryFile, ['/', '/proc']).read();
  expect(vitals.localPorts.last).toBeGreaterThan(vitals.localPorts.first);
  expect(vitals.room.map(({ path }) => path)).toEqual(['/', '/proc']);
  expect(vitals.room[0]?.size).toBeGreaterThan(vitals.room[0]?.free ?? 0);
});

it('is told apart by a file each', async () => {
  expect(await readWith({})).toMatchObject({ ipv6: 'enabled', stubResolver: false, rebootRequired: false });
  const all = '/proc/sys/net/ipv6/conf/all/disable_ipv6';
  expect((await readWith({ [all]: '1\n' })).ipv6).toBe('disabled');
  expect((await readWith({ [all]: undefined })).ipv6).toBe('absent');
  expect((await readWith({ '/proc/sys/net/ipv6/conf/lo/disable_ipv6': '1\n' })).ipv6).toBe(
    'disabled_on_loopback',
  );
  const stub = { '/proc/net/udp': '  12: 3500007F:0035 00000000:0000 07\n' };
  expect((await readWith(stub)).stubResolver).toBe(true);
  expect((await readWith({ '/run/reboot-required': '' })).rebootRequired).toBe(true);
});

it('is an error where a directory is not there, and never room', async () => {
  const reader = createVitalsReader(readMemoryFile, ['/not/there']);
  await expect(reader.read()).rejects.toSatisfy((thrown) => errnoOf(thrown) === 'ENOENT');
});

test.for([
  ['', []],
  ['8080\n', [{ first: 8080, last: 8080 }]],
  [
    '8080,9148-9150\n',
    [
      { first: 8080, last: 8080 },
      { first: 9148, last: 9150 },
    ],
  ],
] as const)('reserved ports %j are %j', ([text, ranges]) => {
  expect(parsePortRanges(text)).toEqual(ranges);
});

test('what the kernel never said is not read as something', () => {
  expect(() => parsePortRange('32768\n')).toThrow(/ip_local_port_range reads/);
  expect(() => parsePortRanges('80,x')).toThrow(/ip_local_reserved_ports reads/);
});
