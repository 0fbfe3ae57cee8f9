import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { renderDeadMan } from '../../src/host/dead-man-script.ts';
import { isRoot, openNetworkNamespace } from '../support/netns.ts';
import { examplePlan } from '../support/renumbering/plan.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** The script of the dead man on a real kernel; systemd and the owners of the network do not answer it. */

const change = {
  link: { name: 'eth0' },
  from: { address: '192.0.2.2', prefixLength: 24 },
  to: { address: '192.0.2.52', prefixLength: 24 },
};

describe.skipIf(!isRoot)('the dead man in a network namespace (needs root)', () => {
  it.each([
    ['new', 0, '192.0.2.2', '192.0.2.52'],
    ['new', 1, '192.0.2.2', '192.0.2.52'],
    ['old', 0, '192.0.2.52', '192.0.2.2'],
    ['old', 1, '192.0.2.52', '192.0.2.2'],
  ])(
    'by the word %s with promote_secondaries=%d takes %s away and leaves %s, another address and the default route',
    async (word, promote, bound, wanted) => {
      await using host = await openNetworkNamespace();
      await host.ip(`link add eth0 type veth peer name far
        link set far up
        link set eth0 up
        addr add ${bound}/24 dev eth0
        addr add 192.0.2.77/24 dev eth0
        route add default via 192.0.2.1`);
      const setting = '/proc/sys/net/ipv4/conf/eth0/promote_secondaries';
      const sh = (script: string) => host.exec.run('sh', ['-c', script], { timeoutMs: 30_000 });
      await sh(`echo ${promote} >${setting}`);

      const root = await temporaryDirectory();
      for (const name of ['bin', 'dead-man', 'backup', 'change', 'units']) await mkdir(`${root}/${name}`);
      for (const program of ['systemctl', 'networkctl', 'nmcli', 'sync']) {
        const status = program === 'systemctl' ? '[ "$1" != is-active ]' : 'true';
        await writeFile(`${root}/bin/${program}`, `#!/bin/sh\n${status}\n`, { mode: 0o755 });
      }
      const paths = { directory: `${root}/dead-man`, backup: `${root}/backup`, change: `${root}/change` };
      const script = renderDeadMan(examplePlan({ change }), paths)
        .replace(/^PATH=/m, `PATH=${root}/bin:`)
        .replaceAll('/etc/systemd/system', `${root}/units`);
      await writeFile(`${root}/dead-man/script`, script);
      await writeFile(`${root}/dead-man/word`, `${word}\n`);
      const ran = await sh(`sh ${root}/dead-man/script`);

      expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
      const addresses = (await sh('ip -4 -o addr show dev eth0')).stdout;
      expect(addresses).toContain(`${wanted}/24`);
      expect(addresses).toContain('192.0.2.77/24');
      expect(addresses).not.toContain(`${bound}/24`);
      expect((await sh('ip -4 route show default')).stdout).toContain('via 192.0.2.1 dev eth0');
      expect((await sh(`cat ${setting}`)).stdout.trim()).toBe(`${promote}`);
    },
  );
});
