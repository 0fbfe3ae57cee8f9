import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { TlsMaterial } from '../agent/mesh/transport.ts';
import type { Settings } from '../agent/settings.ts';
import type { Files } from '../host/ports/files.ts';
import { type ErrorReport, errnoOf, RlnetError } from '../protocol/errors.ts';
import { identityFromSubjectAltName } from '../protocol/identity.ts';

/**
 * The TLS files, read and found to go together: the key is the certificate's, the certificate is of one of the CAs, and it names a host.
 *
 * @param locate where the setting stands in the configuration file, for errors
 * @throws RlnetError TLS_FILE_UNREADABLE, TLS_FILE_INVALID, TLS_IDENTITY_MISMATCH
 */
export async function loadTlsMaterial(
  files: Files,
  paths: Settings['tls'],
  locate: (setting: keyof Settings['tls']) => NonNullable<ErrorReport['at']>,
): Promise<TlsMaterial> {
  const read = async (setting: keyof Settings['tls'], missing?: string): Promise<string> => {
    const path = paths[setting];
    try {
      return await files.read(path);
    } catch (thrown) {
      if (missing !== undefined && errnoOf(thrown) === 'ENOENT') return missing;
      throw new RlnetError(
        'TLS_FILE_UNREADABLE',
        `tls.${setting}: ${path} cannot be read (${errnoOf(thrown) ?? String(thrown)}).`,
        'Make it with rlnet tls create-host, or correct the path or its rights.',
        { cause: thrown, at: locate(setting) },
      );
    }
  };
  const fail = (setting: keyof Settings['tls'], why: string, remedy: string, cause?: unknown): RlnetError =>
    new RlnetError('TLS_FILE_INVALID', `tls.${setting}: ${paths[setting]} ${why}.`, remedy, {
      cause,
      at: locate(setting),
    });
  const parse = <T>(setting: keyof Settings['tls'], what: string, parser: () => T): T => {
    try {
      return parser();
    } catch (thrown) {
      throw fail(
        setting,
        `is not ${what} in PEM`,
        'See docs/security.md for what the files must hold.',
        thrown,
      );
    }
  };

  const [ca, certificate, key] = [await read('ca'), await read('certificate'), await read('key')];
  const denied = parseDeniedSerials(await read('denied_serials', ''));
  if ('badLine' in denied) {
    throw fail(
      'denied_serials',
      `has no serial number in line ${denied.badLine}`,
      'Write one serial number in hexadecimal a line, as rlnet tls show prints it.',
    );
  }
  const authorities = parse('ca', 'a certificate', () => parseBundle(ca));
  const [own, ...intermediates] = parse('certificate', 'a certificate', () => parseBundle(certificate));
  const privateKey = parse('key', 'a private key', () => createPrivateKey(key));
  const mode = (await files.mode(paths.key)) ?? 0;
  if ((mode & 0o007) !== 0) {
    throw fail(
      'key',
      `may be read by everybody (mode ${mode.toString(8).padStart(4, '0')})`,
      `chmod 0600 ${paths.key}`,
    );
  }
  if (!own.checkPrivateKey(privateKey)) {
    throw fail(
      'key',
      'is not the key of the certificate',
      'Use the key and the certificate that were made together.',
    );
  }
  // Only the first step is judged here. TLS judges the rest of a chain when the first peer comes.
  const issuers = [...authorities, ...intermediates].filter((issuer) => own.checkIssued(issuer));
  if (!issuers.some((issuer) => own.verify(issuer.publicKey))) {
    throw fail('certificate', 'was not signed by the CA', 'Use the CA that issued it.');
  }
  const identity = identityFromSubjectAltName(own.subjectAltName);
  if (identity === undefined) {
    throw new RlnetError(
      'TLS_IDENTITY_MISMATCH',
      `tls.certificate: ${paths.certificate} has no name rlnet://CLUSTER/host/NAME (it has ${own.subjectAltName ?? 'none'}).`,
      'Issue it with exactly one such URI as subject alternative name (docs/security.md).',
      { at: locate('certificate') },
    );
  }
  return { ca, certificate, key, identity, deniedSerials: denied.serials };
}

/** The certificates of a file, in order. @throws where there is none */
function parseBundle(text: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const [first, ...others] = blocks.map((block) => new X509Certificate(block));
  if (first === undefined) throw new Error('no certificate');
  return [first, ...others];
}

/** One serial number a line, in hexadecimal, with or without colons; `#` begins a comment. */
export function parseDeniedSerials(text: string): { serials: ReadonlySet<string> } | { badLine: number } {
  const serials = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const serial = (line.split('#')[0] ?? '').trim().replaceAll(':', '').toUpperCase();
    if (serial === '') continue;
    if (!/^[0-9A-F]{1,40}$/.test(serial)) return { badLine: index + 1 };
    serials.add(serial);
  }
  return { serials };
}
