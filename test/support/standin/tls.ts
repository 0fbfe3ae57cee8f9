// @peculiar/x509 finds its metadata store in this polyfill.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { writeDurably } from './durable.ts';
import type { Settings } from './settings.ts';

export interface CertificatePair {
  key: string;
  cert: string;
}

/**
 * The certificate of the REST API: self-signed, CN = cluster name, DNS names `<fqdn>` and `*.<fqdn>`, no IP entries, as
 * a recorded one of a real cluster has it. Made once a name and kept beside `node.id`.
 */
export async function restCertificate(settings: Settings, name: string): Promise<CertificatePair> {
  const path = join(settings.etcDir, 'standin-tls.json');
  if (existsSync(path)) {
    // Our own file, written whole or not at all.
    const kept = JSON.parse(readFileSync(path, 'utf8')) as CertificatePair & { name: string };
    if (kept.name === name) return kept;
  }
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const day = 24 * 3600 * 1000;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + 365 * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: name },
        { type: 'dns', value: `*.${name}` },
      ]),
    ],
  });
  const key = x509.PemConverter.encode(
    await webcrypto.subtle.exportKey('pkcs8', keys.privateKey),
    'PRIVATE KEY',
  );
  const pair = { name, key, cert: certificate.toString('pem') };
  writeDurably(path, JSON.stringify(pair));
  return pair;
}
