import type { RestReply, RsRest, Trust } from '../../host/ports/rs-rest.ts';
import { certificateUnknown } from '../../host/rs-rest.ts';
import { type Address, parseAddress, tryParseAddress } from '../../protocol/address.ts';
import { type BootstrapAnswer, readBootstrapAnswer, readMembers } from '../../protocol/bootstrap/answers.ts';
import type { RsMember } from '../../protocol/bootstrap/facts.ts';
import { RlnetError } from '../../protocol/errors.ts';

const questionMs = 10_000;
/** `validate` waits for what it asks of the cluster. */
const validateMs = 120_000;
const loopback = parseAddress('127.0.0.1');

export interface SessionDependencies {
  rest: RsRest;
  port: number;
  /** Where RS's REST API of this host is; loopback unless said otherwise. */
  own?: Address;
}

/** How the bootstrap of this host stands, as far as its RS says. `member`: it wants a sign-in for that, as only nodes do. */
export type LocalBootstrap =
  | ({ is: 'outside' } & BootstrapAnswer & { fingerprint: string })
  | { is: 'member'; fingerprint: string };

/**
 * Asks without credentials and of whoever answers: nothing secret is sent, and what is said has to be seen elsewhere too (node.id, rladmin)
 * before it counts. The certificate changes while a node becomes one of a cluster.
 * @throws RlnetError RS_REST_UNREACHABLE, OUTPUT_UNREADABLE
 */
export async function readLocalBootstrap({
  rest,
  port,
  own = loopback,
}: SessionDependencies): Promise<LocalBootstrap> {
  const reply = await rest.ask({
    address: own,
    port,
    method: 'GET',
    path: '/v1/bootstrap',
    trust: { anybody: true },
    timeoutMs: questionMs,
  });
  const { status, fingerprint } = reply;
  if (status === 401 || status === 403) return { is: 'member', fingerprint };
  if (status === 200) return { is: 'outside', ...readBootstrapAnswer(reply.body), fingerprint };
  throw unexpected('GET /v1/bootstrap', reply);
}

/**
 * Has RS look at a request without carrying it out.
 * @returns what RS has against it; undefined where it has nothing
 */
export async function validate(
  deps: SessionDependencies,
  trust: Trust & { pins: ReadonlySet<string> },
  action: 'create_cluster' | 'join_cluster',
  body: object,
): Promise<Pick<BootstrapAnswer, 'errorCode' | 'errorDetails'> | undefined> {
  const reply = await post(deps, trust, `/v1/bootstrap/validate/${action}`, body, validateMs);
  if (reply.status === 200) return undefined;
  if (reply.status !== 406) throw unexpected(`POST /v1/bootstrap/validate/${action}`, reply);
  return readBootstrapAnswer(reply.body);
}

/**
 * Sees to it that the node of this host shows a certificate that was given, before anything else is asked for.
 * @throws RlnetError RS_CERTIFICATE_UNKNOWN
 */
export function requireOwnCertificate(
  { port, own = loopback }: SessionDependencies,
  { fingerprint }: LocalBootstrap,
  pins: ReadonlySet<string>,
): void {
  if (!pins.has(fingerprint)) throw certificateUnknown(fingerprint, own, port);
}

/** Begins. @returns false where RS is at it already */
export async function begin(
  deps: SessionDependencies,
  trust: Trust & { pins: ReadonlySet<string> },
  action: 'create_cluster' | 'join_cluster',
  body: object,
): Promise<boolean> {
  const reply = await post(deps, trust, `/v1/bootstrap/${action}`, body, questionMs);
  if (reply.status === 409) return false;
  if (reply.status >= 200 && reply.status < 300) return true;
  throw unexpected(`POST /v1/bootstrap/${action}`, reply);
}

async function post(
  { rest, port, own = loopback }: SessionDependencies,
  trust: Trust,
  path: string,
  body: object,
  timeoutMs: number,
): Promise<RestReply> {
  return await rest.ask({ address: own, port, method: 'POST', path, body, trust, timeoutMs });
}

/**
 * The nodes of the cluster, as the member and the master that it names have them. A redirect is followed with credentials only to a node that is
 * known: one that was named, or that an agent of the cluster names.
 * @param known addresses beside the members
 * @throws RlnetError RS_REDIRECT_UNKNOWN; RS_SIGN_IN_REFUSED; RS_REST_UNREACHABLE where none of the members answers
 */
export async function readCluster(
  { rest, port }: SessionDependencies,
  trust: Trust & { pins: ReadonlySet<string> },
  members: readonly Address[],
  known: readonly Address[],
): Promise<RsMember[]> {
  let last: unknown;
  for (const member of members) {
    try {
      return await readNodes(rest, port, trust, member, new Set([...members, ...known]), 2);
    } catch (thrown) {
      if (!(thrown instanceof RlnetError) || thrown.code !== 'RS_REST_UNREACHABLE') throw thrown;
      last = thrown;
    }
  }
  throw last ?? new RlnetError('USAGE', 'No member is named.', 'Name the internal address of a node.');
}

async function readNodes(
  rest: RsRest,
  port: number,
  trust: Trust,
  address: Address,
  known: ReadonlySet<Address>,
  hops: number,
): Promise<RsMember[]> {
  const reply = await rest.ask({
    address,
    port,
    method: 'GET',
    path: '/v1/nodes',
    trust,
    timeoutMs: questionMs,
  });
  const { status, location } = reply;
  if (status === 200) return readMembers(reply.body);
  if (status === 401 || status === 403) {
    throw new RlnetError(
      'RS_SIGN_IN_REFUSED',
      `The cluster of ${address} does not let this user and password read its nodes (${status}).`,
      'Give the credentials of an administrator of the cluster that is joined.',
    );
  }
  if (status >= 300 && status < 400 && location !== undefined && hops > 0) {
    const target = redirectTarget(location);
    if (target !== undefined && target.port === port && known.has(target.address))
      return await readNodes(rest, port, trust, target.address, known, hops - 1);
    throw new RlnetError(
      'RS_REDIRECT_UNKNOWN',
      `${address} sends on to ${location.slice(0, 200)}, which nobody here knows as a node of the cluster; the credentials were not sent there.`,
      'If that is the internal address of its master, name it as a member too.',
    );
  }
  if (status === 503) {
    throw new RlnetError(
      'RS_REST_UNREACHABLE',
      `${address} is in no cluster, or does not reach its master now (503).`,
      'Name another node, or look at rladmin status nodes there.',
    );
  }
  throw unexpected('GET /v1/nodes', reply);
}

function redirectTarget(location: string): { address: Address; port: number } | undefined {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  if (url?.protocol !== 'https:' || url.pathname !== '/v1/nodes') return undefined;
  const address = tryParseAddress(url.hostname.replace(/^\[(.*)\]$/, '$1'));
  return address === undefined ? undefined : { address, port: url.port === '' ? 443 : Number(url.port) };
}

function unexpected(question: string, { status, body }: RestReply): RlnetError {
  const said = body === undefined ? '' : `: ${JSON.stringify(body).slice(0, 300)}`;
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `RS answered ${question} with status ${status}${said}.`,
    'Look in /var/opt/redislabs/log of that host.',
  );
}
