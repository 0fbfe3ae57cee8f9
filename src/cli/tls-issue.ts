import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { RlnetError } from '../protocol/errors.ts';
import { formatCollectorIdentity, formatIdentity, type HostIdentity } from '../protocol/identity.ts';

x509.cryptoProvider.set(webcrypto as never);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 24 * 60 * 60 * 1000;
/** Certificates are good from a little earlier on, for hosts whose clocks are a little behind. */
const backdateMs = 5 * 60 * 1000;

export interface Issued {
  /** PEM. */
  certificate: string;
  /** PKCS #8, PEM. A secret. */
  key: string;
}

interface Terms {
  /** Wall clock, milliseconds since the epoch. */
  now: number;
  days: number;
  /** 32 hexadecimal digits by chance, so that no two certificates of a CA have the same serial number. */
  random: string;
}

/** A certification authority for one cluster. The cluster's name stands in its subject as organization. */
export async function issueCa(cluster: string, { now, days, random }: Terms): Promise<Issued> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(random),
    name: [{ CN: ['rlnet CA'] }, { O: [cluster] }],
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + days * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await privateKeyPem(keys) };
}

/**
 * A certificate for one host, for both ends of a link.
 * @throws RlnetError TLS_FILE_INVALID where the CA is not one that `issueCa` made, or the key is not its own.
 */
export async function issueHost(
  ca: Issued,
  host: string,
  terms: Terms,
): Promise<Issued & { identity: HostIdentity }> {
  const { cluster, ...issued } = await issue(ca, host, terms, (name) =>
    formatIdentity({ cluster: name, host }),
  );
  return { ...issued, identity: { cluster, host } };
}

/**
 * A certificate for a collector. No host takes it for that of a host.
 * @throws RlnetError TLS_FILE_INVALID as `issueHost`
 */
export async function issueCollector(
  ca: Issued,
  name: string,
  terms: Terms,
): Promise<Issued & { cluster: string }> {
  return await issue(ca, name, terms, (cluster) => formatCollectorIdentity({ cluster, name }));
}

async function issue(
  ca: Issued,
  name: string,
  { now, days, random }: Terms,
  uriOf: (cluster: string) => string,
): Promise<Issued & { cluster: string }> {
  const invalid = (why: string, cause?: unknown): RlnetError =>
    new RlnetError(
      'TLS_FILE_INVALID',
      `The CA cannot be used: ${why}.`,
      'Give the directory that rlnet tls create-ca wrote to.',
      { cause },
    );
  let issuer: x509.X509Certificate;
  let signingKey: webcrypto.CryptoKey;
  try {
    issuer = new x509.X509Certificate(ca.certificate);
    const [der] = x509.PemConverter.decode(ca.key);
    signingKey = await webcrypto.subtle.importKey('pkcs8', der ?? new ArrayBuffer(0), algorithm, false, [
      'sign',
    ]);
  } catch (thrown) {
    throw invalid('it is not a certificate with an ECDSA P-256 key in PEM', thrown);
  }
  const [cluster] = issuer.subjectName.getField('O');
  if (cluster === undefined) throw invalid('it names no cluster');
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: [{ CN: [name] }, { O: [cluster] }],
    issuer: issuer.subjectName,
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + days * dayMs),
    signingAlgorithm: algorithm,
    signingKey: signingKey as never,
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uriOf(cluster) }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  if (!(await certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true }))) {
    throw invalid('its key belongs to another certificate');
  }
  return { certificate: pem(certificate), key: await privateKeyPem(keys), cluster };
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as never;
}

async function privateKeyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey as never);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

/** Positive: without the highest bit (RFC 5280, 4.1.2.2). */
function serialNumber(random: string): string {
  return `0${random.slice(1)}`;
}
