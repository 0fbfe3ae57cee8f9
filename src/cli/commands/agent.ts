import { fileURLToPath } from 'node:url';
import { Agent } from '../../agent/agent.ts';
import { createLog, standardOutput } from '../../agent/log.ts';
import { createTransport } from '../../agent/mesh/transport.ts';
import { createSchedule } from '../../agent/schedule.ts';
import { createHostsFile } from '../../host/hosts-file.ts';
import { createInterfaces } from '../../host/interfaces.ts';
import { createInventoryReader } from '../../host/inventory.ts';
import { createRs } from '../../host/rs.ts';
import { createServiceManager } from '../../host/service-manager.ts';
import { createUnits } from '../../host/units.ts';
import type { Context, Outcome } from '../context.ts';
import { loadConfiguration } from './config.ts';

/** `rlnet agent`: the daemon, until it is asked to end. */
export async function agent(context: Context, options: { config: string }): Outcome {
  const { settings, tls } = await loadConfiguration(context, options.config);
  const { clock, random, exec, files, sockets, version, env } = context;
  const log = createLog(settings.log.level, env.JOURNAL_STREAM !== undefined, standardOutput());
  const service = createServiceManager(exec, env, (error) =>
    log.warn({ err: error }, 'systemd could not be notified'),
  );
  const running = await Agent.start({
    settings,
    identity: tls.identity,
    version,
    clock,
    random,
    files,
    interfaces: createInterfaces(exec, clock),
    hostsFile: createHostsFile(files),
    units: createUnits(exec),
    rs: createRs(exec, files, { rladmin: settings.rs.rladmin, nodeIdFile: settings.rs.node_id_file }),
    inventory: createInventoryReader(
      exec,
      fileURLToPath(new URL('../../host/inventory-probe.ts', import.meta.url)),
    ),
    sockets,
    transport: createTransport(tls),
    schedule: createSchedule(log),
    service,
    log,
  });
  await new Promise<void>((resolve) => {
    if (context.ended.aborted) resolve();
    else context.ended.addEventListener('abort', () => resolve(), { once: true });
  });
  await running.stop(String(context.ended.reason));
  return 0;
}
