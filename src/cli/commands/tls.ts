import { createPublicKey, X509Certificate } from 'node:crypto';
import * as v from 'valibot';
import type { Files } from '../../host/ports/files.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import {
  formatCollectorIdentity,
  formatIdentity,
  identityFromSubjectAltName,
} from '../../protocol/identity.ts';
import { nameSchema } from '../../protocol/schema.ts';
import { type Context, json, type Outcome } from '../context.ts';

interface IssueOptions {
  out: string;
  days: number;
  json?: boolean;
}

/** `rlnet tls create-ca --cluster NAME`: ca.crt and ca.key, to be kept off the cluster's hosts. */
export async function createCa(context: Context, options: IssueOptions & { cluster: string }): Outcome {
  checkName('cluster', options.cluster);
  const { issueCa } = await import('../tls-issue.ts');
  const { certificate, key } = await issueCa(options.cluster, termsOf(context, options.days));
  const files = [
    { path: `${options.out}/ca.key`, content: key, mode: 0o600 },
    { path: `${options.out}/ca.crt`, content: certificate, mode: 0o644 },
  ];
  await createAll(context.files, options.out, files);
  const paths = files.map(({ path }) => path);
  context.print(
    options.json === true
      ? json({ cluster: options.cluster, files: paths })
      : `${[`the CA of cluster ${options.cluster}`, ...paths].join('\n')}\n`,
  );
  return 0;
}

/** `rlnet tls create-host NAME --ca-dir DIR`: host.crt and host.key for one host of the CA's cluster. */
export async function createHost(
  context: Context,
  host: string,
  options: IssueOptions & { caDir: string },
): Outcome {
  checkName('host', host);
  const ca = {
    certificate: await readPem(context.files, `${options.caDir}/ca.crt`),
    key: await readPem(context.files, `${options.caDir}/ca.key`),
  };
  const { issueHost } = await import('../tls-issue.ts');
  const term = termsOf(context, options.days);
  const { certificate, key, identity } = await issueHost(ca, host, term);
  const files = [
    { path: `${options.out}/host.key`, content: key, mode: 0o600 },
    { path: `${options.out}/host.crt`, content: certificate, mode: 0o644 },
  ];
  await createAll(context.files, options.out, files);
  const name = formatIdentity(identity);
  const paths = files.map(({ path }) => path);
  context.print(
    options.json === true ? json({ identity: name, files: paths }) : `${[name, ...paths].join('\n')}\n`,
  );
  return 0;
}

/** `rlnet tls create-collector NAME --ca-dir DIR`: collector.crt and collector.key. */
export async function createCollector(
  context: Context,
  name: string,
  options: IssueOptions & { caDir: string },
): Outcome {
  checkName('collector', name);
  const ca = {
    certificate: await readPem(context.files, `${options.caDir}/ca.crt`),
    key: await readPem(context.files, `${options.caDir}/ca.key`),
  };
  const { issueCollector } = await import('../tls-issue.ts');
  const { certificate, key, cluster } = await issueCollector(ca, name, termsOf(context, options.days));
  const files = [
    { path: `${options.out}/collector.key`, content: key, mode: 0o600 },
    { path: `${options.out}/collector.crt`, content: certificate, mode: 0o644 },
  ];
  await createAll(context.files, options.out, files);
  const identity = formatCollectorIdentity({ cluster, name });
  const paths = files.map(({ path }) => path);
  context.print(
    options.json === true ? json({ identity, files: paths }) : `${[identity, ...paths].join('\n')}\n`,
  );
  return 0;
}

/** `rlnet tls show [FILE…]`: whose certificates they are, by whom, and for how long. */
export async function showTls(
  context: Context,
  paths: readonly string[],
  options: { json?: boolean },
): Outcome {
  const shown = [];
  for (const path of paths)
    shown.push(describe(path, await readPem(context.files, path), context.clock.wall()));
  context.print(options.json === true ? json(shown) : shown.map(renderCertificate).join('\n'));
  return 0;
}

function termsOf({ clock, random }: Context, days: number): { now: number; days: number; random: string } {
  return { now: clock.wall(), days, random: random.id() };
}

interface Described {
  file: string;
  subject: string;
  issuer: string;
  /** The rlnet URI; absent in a CA. */
  identity?: string;
  serial: string;
  fingerprint256: string;
  /** ISO 8601. */
  notBefore: string;
  notAfter: string;
  daysLeft: number;
  ca: boolean;
  keyType: string;
}

function describe(file: string, text: string, now: number): Described {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(text);
  } catch (thrown) {
    throw new RlnetError(
      'TLS_FILE_INVALID',
      `${file} is not a certificate in PEM.`,
      'Give the .crt file, not the key.',
      { cause: thrown },
    );
  }
  const identity = identityFromSubjectAltName(certificate.subjectAltName);
  return {
    file,
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    ...(identity === undefined ? {} : { identity: formatIdentity(identity) }),
    serial: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
    daysLeft: Math.floor((certificate.validToDate.getTime() - now) / 86_400_000),
    ca: certificate.ca,
    keyType:
      createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' })).asymmetricKeyType ??
      'unknown',
  };
}

function renderCertificate(about: Described): string {
  const left = about.daysLeft < 0 ? 'EXPIRED' : `${about.daysLeft} days left`;
  return [
    about.file,
    `  ${about.ca ? 'CA' : 'host'}        ${about.identity ?? about.subject}`,
    `  issuer      ${about.issuer}`,
    `  valid       ${about.notBefore} to ${about.notAfter} (${left})`,
    `  serial      ${about.serial}`,
    `  key         ${about.keyType}`,
    `  SHA-256     ${about.fingerprint256}`,
    '',
  ].join('\n');
}

function oneLine(name: string): string {
  return name.split('\n').join(', ');
}

function checkName(what: string, name: string): void {
  if (v.is(nameSchema, name)) return;
  throw new RlnetError(
    'USAGE',
    `${JSON.stringify(name)} cannot be the name of a ${what}.`,
    'Use letters, digits, dots and hyphens, at most 64 of them.',
  );
}

async function readPem(files: Files, path: string): Promise<string> {
  try {
    return await files.read(path);
  } catch (thrown) {
    throw new RlnetError(
      'TLS_FILE_UNREADABLE',
      `${path} cannot be read (${errnoOf(thrown) ?? String(thrown)}).`,
      'Correct the path or its rights.',
      { cause: thrown },
    );
  }
}

/** All or none, as far as that goes: nothing is written where one of them exists already, and none is ever replaced. */
async function createAll(
  files: Files,
  directory: string,
  wanted: readonly { path: string; content: string; mode: number }[],
): Promise<void> {
  const exists = (path: string, cause?: unknown): RlnetError =>
    new RlnetError(
      'TLS_FILE_EXISTS',
      `${path} is there already and is not replaced.`,
      'Write to another directory with --out, or move the old files away.',
      { cause },
    );
  await files.makeDirectory(directory, 0o700);
  for (const { path } of wanted) if ((await files.mode(path)) !== undefined) throw exists(path);
  for (const { path, content, mode } of wanted) {
    try {
      await files.create(path, content, mode);
    } catch (thrown) {
      if (errnoOf(thrown) === 'EEXIST') throw exists(path, thrown);
      throw thrown;
    }
  }
}
