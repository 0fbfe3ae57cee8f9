import { RlnetError } from '../../../src/protocol/errors.ts';
import type { SettingsInput } from './settings.ts';

/** What the stand-in needs of a host of the lab: commands as root, and files. */
export interface LabHost {
  name: string;
  exec(
    argv: string[],
    options?: { timeoutMs?: number; input?: string },
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  writeFile(path: string, text: string, mode?: number): Promise<void>;
}

/** Today's name of RS's unit, and the one that the vendor's older pages use. */
export type StandinUnit = 'rlec_supervisor' | 'rlec_supervisord';

/** Where every host of the lab sees the repository. */
const repository = '/opt/redislabs/standin';
const node = `${repository}/node_modules/.bin/node`;
const sources = `${repository}/test/support/standin`;

const launcher = `#!/bin/sh
# rladmin of the stand-in for Redis Enterprise Software, not the product. Compiled once a host: agents call it all the time.
NODE_COMPILE_CACHE=/var/opt/redislabs/run/compiled exec ${node} ${sources}/rladmin-cli.ts "$@"
`;

/**
 * Without Restart=: a node that finds its address unbound, or no `::1 localhost`, stays away, as the vendor warns.
 * The start waits for the network, and the daemon a little longer for its own address.
 */
const unitFile = `[Unit]
Description=Stand-in for Redis Enterprise Software (a test double, not the product)
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${node} ${sources}/daemon.ts

[Install]
WantedBy=multi-user.target
`;

/**
 * Runs a command on a host and gives back its standard output.
 * @throws RlnetError COMMAND_FAILED with what it printed
 */
export async function execOk(host: LabHost, argv: string[], timeoutMs = 60_000): Promise<string> {
  const { exitCode, stdout, stderr } = await host.exec(argv, { timeoutMs });
  if (exitCode === 0) return stdout;
  throw new RlnetError(
    'COMMAND_FAILED',
    `${argv.join(' ')} on ${host.name} ended with ${exitCode}: ${stderr.trim() || stdout.trim()}.`,
    `Look at journalctl on ${host.name}.`,
  );
}

/** Registers a package `redislabs` of a version with dpkg, as RS's installer would: that is where its version is read. It is empty. */
export async function installStandinPackage(host: LabHost, version: string): Promise<void> {
  const control = `Package: redislabs\nVersion: ${version}\nArchitecture: all\nMaintainer: nobody\nDescription: stand-in, not the product\n`;
  await execOk(host, ['mkdir', '-p', '/tmp/redislabs/DEBIAN']);
  await host.writeFile('/tmp/redislabs/DEBIAN/control', control, 0o644);
  await execOk(host, ['dpkg-deb', '--build', '/tmp/redislabs', '/tmp/redislabs.deb']);
  await execOk(host, ['dpkg', '--install', '/tmp/redislabs.deb']);
}

/**
 * Puts the stand-in on a host, as RS's installer would: `rladmin`, the folders and the unit, enabled and started. The
 * host is in no cluster yet. To install again with other settings restarts it and keeps what it knows.
 */
export async function installStandin(
  host: LabHost,
  { unit = 'rlec_supervisor', settings = {} }: { unit?: StandinUnit; settings?: SettingsInput } = {},
): Promise<void> {
  await execOk(host, [
    'mkdir',
    '-p',
    '/opt/redislabs/bin',
    '/etc/opt/redislabs',
    '/var/opt/redislabs/persist',
    '/var/opt/redislabs/run',
    '/usr/lib/systemd/system',
  ]);
  await host.writeFile('/opt/redislabs/bin/rladmin', launcher, 0o755);
  await host.writeFile('/etc/opt/redislabs/standin.json', `${JSON.stringify(settings, null, 2)}\n`, 0o644);
  await host.writeFile(`/usr/lib/systemd/system/${unit}.service`, unitFile, 0o644);
  await execOk(host, ['systemctl', 'daemon-reload']);
  await execOk(host, ['systemctl', '--quiet', 'enable', unit]);
  await execOk(host, ['systemctl', 'restart', unit]);
}
