import { X509Certificate } from 'node:crypto';
import { createLog, standardOutput } from '../../agent/log.ts';
import { Collector } from '../../collector/collector.ts';
import { Database } from '../../collector/database.ts';
import { type CollectorTls, listenForAgents } from '../../collector/listener.ts';
import { type CollectorSettings, decodeCollectorSettings } from '../../collector/settings.ts';
import { answerWeb } from '../../collector/web.ts';
import { createExec } from '../../host/exec.ts';
import type { Files } from '../../host/ports/files.ts';
import { createServiceManager } from '../../host/service-manager.ts';
import { createWebServer } from '../../host/web-server.ts';
import { parseYamlDocument } from '../../host/yaml.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import { collectorFromSubjectAltName } from '../../protocol/identity.ts';
import type { Context, Outcome } from '../context.ts';

/** `rlnet collector`: takes the reports of agents, until it is asked to end. */
export async function collector(context: Context, options: { config: string }): Outcome {
  const { clock, files, env } = context;
  const settings = await readSettings(files, options.config);
  const tls = await readTls(files, settings);
  const log = createLog(settings.log.level, env.JOURNAL_STREAM !== undefined, standardOutput());
  const service = createServiceManager(createExec(), env, (error) =>
    log.warn({ err: error }, 'systemd could not be notified'),
  );
  await files.makeDirectory(settings.directory, 0o700);
  const database = new Database(`${settings.directory}/collector.sqlite`);
  const running = new Collector({
    clock,
    database,
    keep: { eventDays: settings.keep.event_days, renumberingDays: settings.keep.renumbering_days },
    log,
  });
  const listening = await listenForAgents(
    tls,
    settings.agents,
    (connection) => running.accept(connection),
    (why, from) => running.refused(why, from),
  );
  const { ca } = settings.web;
  const readers = ca === undefined ? undefined : { ...tls, ca: await readPem(files, 'web.ca', ca) };
  const web = await createWebServer().listen(settings.web, readers, (request) =>
    answerWeb({ database, collector: running, now: clock.wall() }, request),
  );
  const clusters = [...tls.clusters.keys()];
  const { agents } = settings;
  log.info({ clusters, address: agents.address, port: agents.port }, 'the collector is running');
  await service.ready(`collecting for ${clusters.join(', ')}`);
  await new Promise<void>((resolve) => {
    if (context.ended.aborted) resolve();
    else context.ended.addEventListener('abort', () => resolve(), { once: true });
  });
  await service.stopping();
  await web.close();
  await listening.close();
  running.stop();
  database.close();
  return 0;
}

async function readSettings(files: Files, file: string): Promise<CollectorSettings> {
  let text: string;
  try {
    text = await files.read(file);
  } catch (thrown) {
    throw new RlnetError(
      'CONFIG_UNREADABLE',
      `The configuration file cannot be read (${errnoOf(thrown) ?? String(thrown)}).`,
      'Create it (docs/collector.md has one to start from), or give another with --config.',
      { cause: thrown, at: { file } },
    );
  }
  return decodeCollectorSettings(parseYamlDocument(text, file), file);
}

async function readTls(files: Files, settings: CollectorSettings): Promise<CollectorTls> {
  const certificate = await readPem(files, 'tls.certificate', settings.tls.certificate);
  const key = await readPem(files, 'tls.key', settings.tls.key);
  const [own] = certificatesIn(certificate, 'tls.certificate', settings.tls.certificate);
  if (collectorFromSubjectAltName(own?.subjectAltName) === undefined) {
    throw new RlnetError(
      'TLS_IDENTITY_MISMATCH',
      `tls.certificate: ${settings.tls.certificate} has no name rlnet://CLUSTER/collector/NAME.`,
      'Make it with rlnet tls create-collector.',
    );
  }
  const clusters = new Map<string, { ca: string; fingerprints: ReadonlySet<string> }>();
  for (const [cluster, { ca: path }] of Object.entries(settings.clusters)) {
    const ca = await readPem(files, `clusters.${cluster}.ca`, path);
    const prints = certificatesIn(ca, `clusters.${cluster}.ca`, path).map((each) => each.fingerprint256);
    clusters.set(cluster, { ca, fingerprints: new Set(prints) });
  }
  return { certificate, key, clusters };
}

async function readPem(files: Files, setting: string, path: string): Promise<string> {
  try {
    return await files.read(path);
  } catch (thrown) {
    throw new RlnetError(
      'TLS_FILE_UNREADABLE',
      `${setting}: ${path} cannot be read (${errnoOf(thrown) ?? String(thrown)}).`,
      'Correct the path or its rights.',
      { cause: thrown },
    );
  }
}

function certificatesIn(text: string, setting: string, path: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const found = blocks.map((block) => new X509Certificate(block));
    if (found.length > 0) return found;
  } catch {
    // Told below.
  }
  throw new RlnetError(
    'TLS_FILE_INVALID',
    `${setting}: ${path} is not a certificate in PEM.`,
    'See docs/collector.md for what the files must hold.',
  );
}
