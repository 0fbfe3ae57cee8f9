import * as v from 'valibot';
import { nameSchema } from './schema.ts';

/** Who an agent is: a host within a cluster. Never an address, which changes by design. */
export interface HostIdentity {
  cluster: string;
  host: string;
}

/** The URI that stands as subject alternative name in the host's certificate: `rlnet://<cluster>/host/<name>`. */
export function formatIdentity({ cluster, host }: HostIdentity): string {
  return `rlnet://${cluster}/host/${host}`;
}

/**
 * The identity in a certificate's subject alternative names, as Node's `X509Certificate.subjectAltName` prints them
 * (`URI:rlnet://demo/host/n1, DNS:n1.example.net`).
 * @returns undefined unless exactly one name is an rlnet URI and it is well formed.
 */
export function identityFromSubjectAltName(subjectAltName: string | undefined): HostIdentity | undefined {
  const uris = (subjectAltName ?? '')
    .split(', ')
    .filter((entry) => entry.startsWith('URI:rlnet:') || entry.startsWith('URI:"rlnet:'));
  const [only] = uris;
  if (uris.length !== 1 || only === undefined) return undefined;
  const match = /^URI:rlnet:\/\/([^/]+)\/host\/([^/]+)$/.exec(only);
  const [, cluster, host] = match ?? [];
  if (!v.is(nameSchema, cluster) || !v.is(nameSchema, host)) return undefined;
  return { cluster, host };
}

/** The URI in a collector's certificate. A host's mesh takes it for no host. */
export function formatCollectorIdentity({ cluster, name }: { cluster: string; name: string }): string {
  return `rlnet://${cluster}/collector/${name}`;
}

/** @returns the collector's name; undefined unless exactly one name is an rlnet URI and it is a collector's */
export function collectorFromSubjectAltName(subjectAltName: string | undefined): string | undefined {
  const uris = (subjectAltName ?? '').split(', ').filter((entry) => entry.startsWith('URI:rlnet:'));
  const [only] = uris;
  if (uris.length !== 1 || only === undefined) return undefined;
  const [, cluster, name] = /^URI:rlnet:\/\/([^/]+)\/collector\/([^/]+)$/.exec(only) ?? [];
  return v.is(nameSchema, cluster) && v.is(nameSchema, name) ? name : undefined;
}
