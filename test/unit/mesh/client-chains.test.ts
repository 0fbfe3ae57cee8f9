import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { expect, it, onTestFinished } from 'vitest';
import { releaseClientChains } from '../../../src/agent/mesh/client-chains.ts';
import { createClock } from '../../../src/host/clock.ts';

x509.cryptoProvider.set(webcrypto as never);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const now = createClock().wall();

interface Holder {
  name: string;
  keys: webcrypto.CryptoKeyPair;
  certificate: string;
}

/** A certificate of a CA, or without an `issuer` of its own root. */
async function issue(name: string, isCa: boolean, issuer?: Holder): Promise<Holder> {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '01',
    subject: `CN=${name}`,
    issuer: `CN=${issuer?.name ?? name}`,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + 3_600_000),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey as never,
    signingKey: (issuer?.keys ?? keys).privateKey as never,
    extensions: [new x509.BasicConstraintsExtension(isCa)],
  });
  return { name, keys, certificate: `${certificate.toString('pem')}\n` };
}

async function keyOf({ keys }: Holder): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
}

const root = await issue('root', true);
const between = await issue('between', true, root);
const client = await issue('client', false, between);
const server = await issue('server', false, root);

/** What the server sees of a client that shows these certificates. */
async function admitted(shown: string | undefined): Promise<TLSSocket | Error> {
  const listener = createServer({
    ca: root.certificate,
    cert: server.certificate,
    key: await keyOf(server),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  });
  listener.listen(0, '127.0.93.200');
  await once(listener, 'listening');
  const seen = new Promise<TLSSocket | Error>((resolve) => {
    listener.once('secureConnection', resolve);
    listener.once('tlsClientError', (error) => resolve(error));
  });
  const dialled = connect({
    host: '127.0.93.200',
    port: (listener.address() as AddressInfo).port,
    ca: root.certificate,
    ...(shown === undefined ? {} : { cert: shown, key: await keyOf(client) }),
    checkServerIdentity: () => undefined,
  });
  dialled.on('error', () => {});
  onTestFinished(() => {
    dialled.destroy();
    listener.close();
  });
  return await seen;
}

// Only what is still in the session is freed with it. The certificate between is nowhere else, so it shows whether it is.
it('leaves the chain that a client has sent in the session, which frees it', async () => {
  releaseClientChains();
  const socket = (await admitted(client.certificate + between.certificate)) as TLSSocket;
  expect(socket.authorized).toBe(true);
  expect(socket.getPeerCertificate(true).issuerCertificate.subject.CN).toBe('between');
  socket.destroy();
});

it('still turns a client away that shows no certificate', async () => {
  releaseClientChains();
  expect(await admitted(undefined)).toBeInstanceOf(Error);
});
