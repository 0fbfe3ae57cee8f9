import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { createTransport, type TlsMaterial } from '../../../src/agent/mesh/transport.ts';
import { createClock } from '../../../src/host/clock.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { createAuthority } from '../../support/agents.ts';
import { type Papers, transportContract, usualPapers } from '../../support/contracts/transport.ts';

/** Real sockets, real TLS, on loopback addresses of their own: 127.0.93.N. */
const port = 19471;
const now = createClock().wall();
/** Two pools of CAs, each with one CA for each cluster. */
const authorities = {
  ours: { demo: await createAuthority('demo', now), other: await createAuthority('other', now) },
  another: { demo: await createAuthority('demo', now), other: await createAuthority('other', now) },
};
type Pool = keyof typeof authorities;
const caTexts = {
  ours: await caTextOf('ours'),
  another: await caTextOf('another'),
};

async function caTextOf(pool: Pool): Promise<string> {
  const issued = await Promise.all(Object.values(authorities[pool]).map((issue) => issue('any')));
  return issued.map(({ ca }) => ca).join('');
}

function serialOf({ certificate }: TlsMaterial): string {
  return certificate === '' ? '' : new X509Certificate(certificate).serialNumber.toUpperCase();
}

async function materialOf(
  { host, cluster, ownCluster, signedBy, trusts, certificate, denies }: Papers,
  serials: ReadonlyMap<string, string>,
): Promise<TlsMaterial> {
  const issue = authorities[signedBy][cluster === 'other' ? 'other' : 'demo'];
  const issued = await issue(
    // A slash makes the URI none of ours.
    certificate === 'names no host' ? `${host}/strange` : host,
    certificate === 'expired' ? -1 : 5,
  );
  return {
    ca: trusts.map((pool) => caTexts[pool]).join(''),
    certificate: certificate === 'none' ? '' : issued.certificate,
    key: certificate === 'none' ? '' : issued.key,
    identity: { cluster: ownCluster, host },
    deniedSerials: new Set(denies.map((each) => serials.get(each) ?? '')),
  };
}

transportContract('the transport over TLS', async () => {
  const serials = new Map<string, string>();
  let hosts = 0;
  return {
    port,
    unbound: parseAddress('192.0.2.77'),
    host: async (name, papers) => {
      const address = parseAddress(`127.0.93.${++hosts}`);
      let current: Papers = { ...usualPapers(name), ...papers };
      let material = await materialOf(current, serials);
      serials.set(name, serialOf(material));
      return {
        address,
        transport: createTransport(() => material, createClock()),
        serial: () => serialOf(material),
        change: async (change) => {
          const { certificate, key } = material;
          current = { ...current, ...change };
          material = await materialOf(current, serials);
          // Another certificate only where something about it changes.
          if (change.signedBy === undefined) material = { ...material, certificate, key };
          serials.set(name, serialOf(material));
        },
      };
    },
    mute: async () => {
      const address = parseAddress('127.0.93.99');
      const sockets: Socket[] = [];
      const server = createServer((socket) => sockets.push(socket));
      server.listen({ host: address, port });
      await once(server, 'listening');
      onTestFinished(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      return address;
    },
  };
});
