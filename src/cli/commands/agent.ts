import { X509Certificate } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type ActingPorts, Agent, backupDirectoryOf } from '../../agent/agent.ts';
import type { CertificateTerm } from '../../agent/findings/check.ts';
import { createLog, standardOutput } from '../../agent/log.ts';
import { createTransport, type TlsMaterial } from '../../agent/mesh/transport.ts';
import type { Measured } from '../../agent/metrics.ts';
import type { ReportConnector } from '../../agent/report/channel.ts';
import { createSchedule } from '../../agent/schedule.ts';
import type { Settings } from '../../agent/settings.ts';
import { createBootClock } from '../../host/boot-clock.ts';
import { createDeadMan } from '../../host/dead-man.ts';
import { createDetachedTimer } from '../../host/detached-timer.ts';
import { createExec } from '../../host/exec.ts';
import { createFileEditor } from '../../host/file-editor.ts';
import { createHostPower } from '../../host/host-power.ts';
import { createHostsFile } from '../../host/hosts-file.ts';
import { createInterfaces } from '../../host/interfaces.ts';
import { createInventoryReader } from '../../host/inventory.ts';
import { createKernelAddresses } from '../../host/kernel-addresses.ts';
import { readMemoryFile } from '../../host/memory-file.ts';
import { createNetworkOwners } from '../../host/network-owner/detect.ts';
import { createNetworkOwner } from '../../host/network-owner/owners.ts';
import { createAddressPersistences } from '../../host/network-owner/persistence.ts';
import { createPaths } from '../../host/paths.ts';
import type { Timer } from '../../host/ports/clock.ts';
import { createRs } from '../../host/rs.ts';
import { createServiceManager } from '../../host/service-manager.ts';
import { createSurroundings } from '../../host/surroundings.ts';
import { inTransientUnits } from '../../host/transient-units.ts';
import { createUnitControl } from '../../host/unit-control.ts';
import { createUnitSignals } from '../../host/unit-signals.ts';
import { createUnits } from '../../host/units.ts';
import { createVitalsReader } from '../../host/vitals.ts';
import { createWire } from '../../host/wire.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { expositionType } from '../../protocol/exposition.ts';
import { formatIdentity } from '../../protocol/identity.ts';
import { ownerKinds } from '../../protocol/network-owner.ts';
import type { Context, Outcome } from '../context.ts';
import { loadConfiguration } from './config.ts';

/** `rlnet agent`: the daemon, until it is asked to end. */
export async function agent(context: Context, options: { config: string }): Outcome {
  const { settings, tls, readTls } = await loadConfiguration(context, options.config);
  let material = tls;
  let terms = termsOf(material);
  const { clock, random, files, sockets, version, env } = context;
  // Here and not in the context: execa would cost every other command 20 ms.
  const exec = createExec();
  const log = createLog(settings.log.level, env.JOURNAL_STREAM !== undefined, standardOutput());
  const service = createServiceManager(exec, env, (error) =>
    log.warn({ err: error }, 'systemd could not be notified'),
  );
  // Under systemd we are in the sandbox of our unit, which is no place for the programs of others.
  const outside = env.NOTIFY_SOCKET === undefined ? exec : inTransientUnits(exec, files);
  const interfaces = createInterfaces(exec, clock);
  const units = createUnits(exec);
  const rs = createRs(outside, files, { rladmin: settings.rs.rladmin, nodeIdFile: settings.rs.node_id_file });
  const changeDirectory = `${settings.directories.runtime}/address`;
  const ownerPorts = { exec, outer: outside, clock, interfaces };
  const owner: ActingPorts['owner'] = (kind) => {
    const known = ownerKinds.find((each) => each === kind);
    if (known !== undefined) return createNetworkOwner(known, ownerPorts, settings.network.hook);
    throw new RlnetError('OWNER_UNKNOWN', `Nobody of the name ${kind} owns addresses.`, 'Plan anew.');
  };
  const owners = createNetworkOwners(exec, interfaces);
  const acting: ActingPorts = {
    owner,
    facts: {
      surroundings: createSurroundings(exec, files),
      ownerOf: async ({ link, from }) => {
        const told = settings.network.owner;
        if (told !== 'auto') return owner(told);
        const verdict = await owners.detect(link, from.address);
        if (verdict.kind === 'refused') throw verdict.error;
        return owner(verdict.owner);
      },
      rsUnit: () => units.discover(settings.rs.unit),
      agentUnit: 'rlnet.service',
      certificateEnds: async () => new X509Certificate(material.certificate).validToDate.getTime(),
      directories: [settings.directories.state, '/etc'],
    },
    kernel: createKernelAddresses({
      exec,
      files,
      clock,
      timer: createDetachedTimer(exec, clock),
      directory: changeDirectory,
    }),
    units: createUnitControl({ exec, files, clock }),
    power: createHostPower(exec),
    deadMan: createDeadMan({
      exec,
      files,
      directory: `${settings.directories.state}/dead-man`,
      changeDirectory,
      backupDirectory: ({ id }) => backupDirectoryOf(settings, id),
    }),
  };
  const running = await Agent.start({
    settings,
    identity: tls.identity,
    version,
    clock,
    bootClock: createBootClock(files),
    random,
    files,
    interfaces,
    // In the sandbox, `cp` would not see all attributes that a file has.
    hostsFile: createHostsFile(
      files,
      createFileEditor(outside, clock, `${settings.directories.state}/backups`),
    ),
    units,
    unitSignals: createUnitSignals(clock),
    rs,
    acting,
    persistences: createAddressPersistences(settings.network.owner, owners, owner, files),
    collector: await connectorOf(context, settings, () => material),
    // By its name in package.json, as its path in a release is another one.
    inventory: createInventoryReader(exec, fileURLToPath(import.meta.resolve('#inventory-probe'))),
    sockets,
    transport: createTransport(() => material, clock),
    paths: createPaths(exec),
    vitals: createVitalsReader(readMemoryFile, [settings.directories.state, '/etc']),
    certificates: () => terms,
    wire: createWire(exec, interfaces, clock),
    schedule: createSchedule(log),
    service,
    log,
  });
  const metrics = await serveMetrics(context, settings, tls, () => running.measured);
  const watched = followCertificates(context, Object.values(settings.tls), async () => {
    try {
      const fresh = await readTls();
      if (formatIdentity(fresh.identity) !== formatIdentity(tls.identity)) {
        log.error({ identity: fresh.identity }, 'the new certificate is of another host, and is not taken');
        return;
      }
      material = fresh;
      terms = termsOf(fresh);
      running.renewCertificates(fresh.deniedSerials);
    } catch (thrown) {
      // Files are replaced one after the other; the last change makes them go together.
      log.error({ err: thrown }, 'the new certificates cannot be used; the old ones stay in use');
    }
  });
  await new Promise<void>((resolve) => {
    if (context.ended.aborted) resolve();
    else context.ended.addEventListener('abort', () => resolve(), { once: true });
  });
  watched.close();
  await metrics?.close();
  await running.stop(String(context.ended.reason));
  return 0;
}

/** Loaded where it is configured, and only there. */
async function serveMetrics(
  { files }: Context,
  { metrics }: Settings,
  { certificate, key }: TlsMaterial,
  measured: () => Measured,
): Promise<{ close(): Promise<void> } | undefined> {
  if (metrics === undefined) return undefined;
  const { createWebServer } = await import('../../host/web-server.ts');
  const { agentMetrics } = await import('../../agent/metrics.ts');
  const { ca } = metrics;
  const tls = ca === undefined ? undefined : { certificate, key, ca: await files.read(ca) };
  return await createWebServer().listen(metrics, tls, ({ path }) =>
    path === '/metrics'
      ? { status: 200, type: expositionType, body: agentMetrics(measured()) }
      : { status: 404, type: 'text/plain', body: 'see /metrics\n' },
  );
}

/** Loaded where a collector is configured, and only there. */
async function connectorOf(
  { files }: Context,
  { collector: { url, ca }, tls }: Settings,
  material: () => TlsMaterial,
): Promise<ReportConnector | undefined> {
  if (url === undefined) return undefined;
  const { createReportConnector } = await import('../../agent/report/connect.ts');
  return createReportConnector(url, material, () => files.read(ca ?? tls.ca));
}

/** Of the host's certificate, and of each CA beside it. */
function termsOf({ certificate, ca }: TlsMaterial): CertificateTerm[] {
  const termOf = (name: string, pem: string): CertificateTerm => {
    const { validFromDate, validToDate } = new X509Certificate(pem);
    return { name, notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() };
  };
  const authorities = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return [termOf("the host's certificate", certificate), ...authorities.map((pem) => termOf('the CA', pem))];
}

/** Files that are changed together make one change, so long after the last of them. */
const quietMs = 300;

/** Calls `changed` after any of the files may have changed. */
function followCertificates(
  { clock, files }: Context,
  paths: readonly string[],
  changed: () => Promise<void>,
): { close: () => void } {
  let timer: Timer | undefined;
  const hint = (): void => {
    timer?.cancel();
    timer = clock.after(quietMs, () => void changed());
  };
  const watches = paths.map((path) => files.watch(path, hint));
  return {
    close: () => {
      timer?.cancel();
      for (const watch of watches) watch.close();
    },
  };
}
