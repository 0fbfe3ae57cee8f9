import { type Issued, issueCa, issueHost } from '../../../src/cli/tls-issue.ts';
import { createRandom } from '../../../src/host/random.ts';
import type { Family } from '../../../src/protocol/address.ts';
import { execOk } from '../standin/install.ts';
import type { Host } from './lab.ts';

const random = createRandom();

/**
 * A container has its own boot id mounted over that of the machine; the sandbox of the agent's unit has a /proc of its own, and so would
 * show the machine's, which no reboot of a lab host changes.
 */
const ownBootId = `[Unit]
Wants=lab-boot-id.service
After=lab-boot-id.service
[Service]
BindReadOnlyPaths=-/run/lab-boot-id:/proc/sys/kernel/random/boot_id
`;

/** Not an ExecStartPre= of the agent's unit: systemd sets up its bind mounts for that too, in a root without /proc, and fails. */
const bootIdUnit = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/cp --no-preserve=all /proc/sys/kernel/random/boot_id /run/lab-boot-id
`;

/**
 * The clock of a lab host is the machine's, and whether somebody keeps it is none of the lab's business. In front of the real one on the agent's
 * path: it says what the file beside it says, yes unless told otherwise.
 */
const ownTimedatectl = `#!/bin/sh
[ "$1" = show ] && exec cat /run/lab-clock
exec /usr/bin/timedatectl "$@"
`;
const clockFile = 'f /run/lab-clock 0644 - - - yes\n';

/**
 * Gives every host a certificate and a configuration file, as an operator would, and starts its agent.
 *
 * @param family  the internal family of the cluster that the hosts are, or are to be
 * @param now     wall clock, milliseconds since the epoch: the certificates are valid from then on
 * @param seedsOf the seeds of a host that is configured otherwise than the others; undefined for those
 * @param more    further sections of everybody's agent.yaml, line by line
 * @param moreOf  further lines of the agent.yaml of one host
 * @returns the CA
 */
export async function installAgents(
  hosts: readonly Host[],
  {
    cluster,
    family,
    now,
    seedsOf,
    more = [],
    moreOf = () => '',
  }: {
    cluster: string;
    family: Family;
    now: number;
    seedsOf?: (host: Host) => readonly string[] | undefined;
    more?: readonly string[];
    moreOf?: (host: Host) => string;
  },
): Promise<Issued> {
  const ca = await issueCa(cluster, { now, days: 30, random: random.id() });
  const seeds = hosts.map((host) => host.address('internal', family));
  const settings = [
    '# Internal addresses of the hosts of this cluster, for the first start.',
    'mesh:',
    '  seeds:',
  ];
  const configurationOf = (host: Host): string =>
    [...settings, ...(seedsOf?.(host) ?? seeds).map((seed) => `    - "${seed}"`), ...more, moreOf(host)].join(
      '\n',
    );
  await Promise.all(
    hosts.map(async (host) => {
      const { certificate, key } = await issueHost(ca, host.name, { now, days: 7, random: random.id() });
      await host.writeFile('/etc/rlnet/tls/ca.crt', ca.certificate, 0o644);
      await host.writeFile('/etc/rlnet/tls/host.crt', certificate, 0o644);
      await host.writeFile('/etc/rlnet/tls/host.key', key, 0o600);
      await host.writeFile('/etc/rlnet/agent.yaml', configurationOf(host), 0o644);
      await host.writeFile('/usr/sbin/timedatectl', ownTimedatectl, 0o755);
      await host.writeFile('/etc/tmpfiles.d/lab-clock.conf', clockFile, 0o644);
      await execOk(host, ['systemd-tmpfiles', '--create', 'lab-clock.conf']);
      await execOk(host, ['mkdir', '-p', '/etc/systemd/system/rlnet.service.d']);
      await host.writeFile('/etc/systemd/system/lab-boot-id.service', bootIdUnit, 0o644);
      await host.writeFile('/etc/systemd/system/rlnet.service.d/lab.conf', ownBootId, 0o644);
      await execOk(host, ['systemctl', 'daemon-reload']);
      await execOk(host, ['systemctl', '--quiet', 'enable', 'rlnet']);
      // Returns when the agent has said READY.
      await execOk(host, ['systemctl', 'restart', 'rlnet']);
    }),
  );
  return ca;
}
