import { X509Certificate } from 'node:crypto';
import { decodeSettings, type Settings } from '../../agent/settings.ts';
import { createExec } from '../../host/exec.ts';
import { createFileEditor } from '../../host/file-editor.ts';
import { createHostsFile } from '../../host/hosts-file.ts';
import { createInterfaces } from '../../host/interfaces.ts';
import { readListeners } from '../../host/listeners.ts';
import type { Files } from '../../host/ports/files.ts';
import type { Rs } from '../../host/ports/rs.ts';
import type { Credentials, RsRest } from '../../host/ports/rs-rest.ts';
import { createRs } from '../../host/rs.ts';
import { installedRsVersion } from '../../host/rs-package.ts';
import { createRsRest, normalFingerprint } from '../../host/rs-rest.ts';
import { createSurroundings } from '../../host/surroundings.ts';
import { reachByTcp } from '../../host/tcp-reach.ts';
import { createUnits } from '../../host/units.ts';
import { parseYamlDocument } from '../../host/yaml.ts';
import { tryParseAddress } from '../../protocol/address.ts';
import { explainBootstrapError } from '../../protocol/bootstrap/explain.ts';
import type { Wish } from '../../protocol/bootstrap/facts.ts';
import { type BootstrapPlan, bodyOf, planBootstrap } from '../../protocol/bootstrap/plan.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import { refusalsOf } from '../../protocol/renumbering/guards.ts';
import type { RsNode } from '../../protocol/rs.ts';
import { nodePorts } from '../../protocol/rs-ports.ts';
import { readCredentials } from '../bootstrap/credentials.ts';
import { type BootstrapFactDependencies, readBootstrapFacts } from '../bootstrap/facts.ts';
import { followBootstrap, isRunning, ownNode } from '../bootstrap/follow.ts';
import {
  begin,
  readCluster,
  readLocalBootstrap,
  requireOwnCertificate,
  type SessionDependencies,
  validate,
} from '../bootstrap/session.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { renderBootstrapPlan, renderBootstrapped, renderBootstrapStatus } from '../render/bootstrap.ts';

/*
 * Bootstrap runs in this process and not in the agent. It is asked for once in the life of a host, by root, on that very host; it carries a
 * password, which then needs no way through sockets and daemons; and RS itself keeps its state, so that nothing of ours has to outlive this
 * process: the same command again takes it up. The agent is asked for what it alone knows, the mesh.
 */

export interface BootstrapCommandOptions {
  addr?: string;
  external: string[];
  credentials?: string;
  fingerprint: string[];
  certificate: string[];
  check?: boolean;
  restPort: number;
  config: string;
  runtimeDirectory: string;
  json?: boolean;
  useInternalIpv6?: boolean;
  withoutMesh?: boolean;
}

/** Not the host's state, but a check, is what keeps it from being begun (docs/errors.md). */
const refusedStatus = 7;

/** `rlnet bootstrap create NAME`. */
export function bootstrapCreate(context: Context, name: string, options: BootstrapCommandOptions): Outcome {
  return bootstrap(context, options, (username) => ({
    ...wishOf(options, username),
    action: 'create',
    name,
    members: [],
  }));
}

/** `rlnet bootstrap join MEMBER...`. */
export function bootstrapJoin(
  context: Context,
  members: readonly string[],
  options: BootstrapCommandOptions,
): Outcome {
  const canonical = members.map((text) => tryParseAddress(text) ?? text);
  return bootstrap(context, options, (username) => ({
    ...wishOf(options, username),
    action: 'join',
    members: canonical,
  }));
}

/** `rlnet bootstrap status`. */
export async function bootstrapStatus(
  context: Context,
  options: { restPort: number; config: string; json?: boolean },
): Outcome {
  const { session, rs } = await portsOf(context, options);
  const [local, node] = await Promise.all([
    readLocalBootstrap(session).catch((thrown: unknown) => ({
      is: 'silent' as const,
      why: reasonOf(thrown),
    })),
    ownNode(rs).catch((thrown: unknown) => ({ unknown: reasonOf(thrown) })),
  ]);
  context.print(
    options.json === true ? json({ local, node: node ?? null }) : renderBootstrapStatus(local, node),
  );
  return 0;
}

async function bootstrap(
  context: Context,
  options: BootstrapCommandOptions,
  wishFor: (username: string) => Wish,
): Outcome {
  const asJson = options.json === true;
  const { session, rs, settings } = await portsOf(context, options);
  const node = await ownNode(rs);
  const local = await readLocalBootstrap(session);
  if (node !== undefined) {
    context.print(
      asJson ? json({ node, begun: false }) : renderBootstrapped(node, 'is a node already; nothing was done'),
    );
    return 0;
  }
  const show = (state: string): void =>
    context.print(asJson ? `${JSON.stringify({ state })}\n` : `${state}\n`);
  const follow = async (): Promise<RsNode> =>
    await followBootstrap({ ...session, rs, clock: context.clock }, show, context.ended);
  if (isRunning(local) && options.check !== true) {
    show('RS is at a bootstrap already; it is followed, and nothing else is asked of RS');
    return done(context, asJson, await follow());
  }
  const credentials = await readCredentials(context.files, options.credentials, context.ask);
  const pins = await pinsOf(context.files, options);
  if (options.check !== true) requireOwnCertificate(session, local, pins);
  const wish = wishFor(credentials.username);
  const plan = await planned(context, options, { session, rs, settings, wish, credentials, pins });
  const refusals = refusalsOf(plan.checks);
  if (options.check === true || refusals.length > 0) {
    context.print(asJson ? json(plan) : renderBootstrapPlan(plan));
    if (options.check === true) return refusals.length === 0 ? 0 : refusedStatus;
    throw nodeBootstrapError(refusals[0], refusals.length - 1);
  }
  if (!asJson) context.print(renderBootstrapPlan(plan));
  await ask(session, pins, { ...bodyOf(plan), credentials }, plan);
  return done(context, asJson, await follow());
}

function done(context: Context, asJson: boolean, node: RsNode): number {
  context.print(
    asJson ? `${JSON.stringify({ node, begun: true })}\n` : renderBootstrapped(node, 'is a node now'),
  );
  return 0;
}

/** Validates, and begins. @throws RlnetError BOOTSTRAP_FAILED with what RS says, BOOTSTRAP_UNDER_WAY */
async function ask(
  session: SessionDependencies,
  pins: ReadonlySet<string>,
  body: object,
  { action }: BootstrapPlan,
): Promise<void> {
  const name = action === 'create' ? 'create_cluster' : 'join_cluster';
  const objection = await validate(session, { pins }, name, body);
  if (objection !== undefined) {
    const { code, message, remedy } = explainBootstrapError(objection);
    throw new RlnetError(
      'BOOTSTRAP_FAILED',
      `RS does not take the request; nothing was changed. ${code}: ${message}.`,
      remedy,
    );
  }
  if (await begin(session, { pins }, name, body)) return;
  throw new RlnetError(
    'BOOTSTRAP_UNDER_WAY',
    'RS is at another bootstrap of this host already.',
    'rlnet bootstrap status shows how it stands.',
  );
}

async function planned(
  context: Context,
  options: BootstrapCommandOptions,
  {
    session,
    settings,
    wish,
    credentials,
    pins,
  }: {
    session: SessionDependencies;
    rs: Rs;
    settings: Settings;
    wish: Wish;
    credentials: Credentials;
    pins: ReadonlySet<string>;
  },
): Promise<BootstrapPlan> {
  const { clock, files } = context;
  const exec = createExec();
  const deps: BootstrapFactDependencies = {
    clock,
    interfaces: createInterfaces(exec, clock),
    hostsFile: createHostsFile(files, createFileEditor(exec, clock, `${settings.directories.state}/backups`)),
    surroundings: createSurroundings(exec, files),
    version: () => installedRsVersion(exec),
    listeners: async () =>
      await readListeners(exec, files, await createUnits(exec).discover(settings.rs.unit)),
    mesh: () => withAgent(context, options.runtimeDirectory, (client) => client.call('mesh_about', {})),
    cluster: (known) =>
      readCluster(
        session,
        { pins, credentials },
        wish.members.flatMap((text) => tryParseAddress(text) ?? []),
        known,
      ),
    reach: (source, target, port) => reachByTcp(clock, { source, target, port }),
    reachedFrom: (address) =>
      withAgent(context, options.runtimeDirectory, (client) =>
        client.call('mesh_reach', { address, ports: [session.port, ...nodePorts] }),
      ),
    restPort: session.port,
  };
  const facts = await readBootstrapFacts(
    deps,
    wish,
    await readLocalBootstrap(session),
    options.withoutMesh === true,
  );
  return planBootstrap(wish, facts);
}

async function portsOf(
  context: Context,
  { restPort, config }: { restPort: number; config: string },
): Promise<{ session: SessionDependencies & { rest: RsRest }; rs: Rs; settings: Settings }> {
  const settings = await settingsOf(context.files, config);
  const rs = createRs(createExec(), context.files, {
    rladmin: settings.rs.rladmin,
    nodeIdFile: settings.rs.node_id_file,
  });
  return { session: { rest: createRsRest(context.clock), port: restPort }, rs, settings };
}

/** A host may be bootstrapped before its agent is configured. @throws RlnetError CONFIG_INVALID */
async function settingsOf(files: Files, file: string): Promise<Settings> {
  const text = (await files.readIfExists(file)) ?? '';
  return decodeSettings(parseYamlDocument(text, file), file);
}

function wishOf(
  { addr, external, useInternalIpv6 }: BootstrapCommandOptions,
  username: string,
): Pick<Wish, 'addr' | 'external' | 'useInternalIpv6' | 'username'> {
  return {
    ...(addr === undefined ? {} : { addr }),
    external,
    useInternalIpv6: useInternalIpv6 === true,
    username,
  };
}

/** @throws RlnetError USAGE, TLS_FILE_UNREADABLE, TLS_FILE_INVALID */
async function pinsOf(
  files: Files,
  { fingerprint, certificate }: BootstrapCommandOptions,
): Promise<ReadonlySet<string>> {
  const given = fingerprint.map((text) => {
    const pin = normalFingerprint(text);
    if (/^[0-9a-f]{64}$/.test(pin)) return pin;
    throw new RlnetError(
      'USAGE',
      `${text} is no SHA-256 fingerprint.`,
      'Give 64 hexadecimal digits, as openssl x509 -fingerprint -sha256 prints them.',
    );
  });
  const read = await Promise.all(certificate.map((file) => fingerprintOf(files, file)));
  return new Set([...given, ...read]);
}

async function fingerprintOf(files: Files, file: string): Promise<string> {
  let text: string;
  try {
    text = await files.read(file);
  } catch (thrown) {
    throw new RlnetError(
      'TLS_FILE_UNREADABLE',
      `${file} cannot be read (${errnoOf(thrown) ?? 'unexpected'}).`,
      'Give the certificate of the node in PEM.',
    );
  }
  try {
    return normalFingerprint(new X509Certificate(text).fingerprint256);
  } catch {
    throw new RlnetError(
      'TLS_FILE_INVALID',
      `${file} is no certificate in PEM.`,
      'Give the certificate of the node in PEM.',
    );
  }
}

/** What the vendor calls NodeBootstrapError, with the check that stands in the way. */
function nodeBootstrapError(refusal: BootstrapPlan['checks'][number] | undefined, more: number): RlnetError {
  const { code = '', message = '', remedy = '' } = refusal ?? {};
  return new RlnetError(
    'NODE_BOOTSTRAP_ERROR',
    `RS was not asked. ${code}: ${message.replace(/\.$/, '')}${more > 0 ? ` (and ${more} more, above)` : ''}.`,
    remedy,
  );
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
