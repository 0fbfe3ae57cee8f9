import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { issueCa, issueHost } from '../../../src/cli/tls-issue.ts';
import { createRandom } from '../../../src/host/random.ts';
import { reportOf, rlnet } from '../../support/cli.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const hasOpenssl = existsSync('/usr/bin/openssl');
const openssl = (...args: string[]) => promisify(execFile)('openssl', args);

/** Directories with a CA and a host's files, as the two commands make them. */
async function created(): Promise<{ ca: string; host: string }> {
  const directory = await temporaryDirectory();
  const [ca, host] = [`${directory}/ca`, `${directory}/host`];
  await rlnet(['tls', 'create-ca', '--cluster', 'demo', '--out', ca]);
  await rlnet(['tls', 'create-host', 'n1', '--ca-dir', ca, '--out', host]);
  return { ca, host };
}

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

test('a CA and a host certificate come with keys that their owner alone may read', async () => {
  const directory = await temporaryDirectory();
  const ca = await rlnet(['tls', 'create-ca', '--cluster', 'demo', '--out', `${directory}/ca`, '--json']);
  expect(ca).toMatchObject({ exitCode: 0, stderr: '' });
  expect(JSON.parse(ca.stdout)).toEqual({
    cluster: 'demo',
    files: [`${directory}/ca/ca.key`, `${directory}/ca/ca.crt`],
  });
  const args = ['create-host', 'n1', '--ca-dir', `${directory}/ca`, '--out', `${directory}/host`];
  const host = await rlnet(['tls', ...args]);
  expect(host).toEqual({
    exitCode: 0,
    stdout: `rlnet://demo/host/n1\n${directory}/host/host.key\n${directory}/host/host.crt\n`,
    stderr: '',
  });
  for (const [folder, name] of [
    ['ca', 'ca'],
    ['host', 'host'],
  ] as const) {
    expect(await modeOf(`${directory}/${folder}`)).toBe(0o700);
    expect(await modeOf(`${directory}/${folder}/${name}.key`)).toBe(0o600);
    expect(await modeOf(`${directory}/${folder}/${name}.crt`)).toBe(0o644);
  }
});

test.skipIf(!hasOpenssl)('openssl verifies the certificate for both ends of a link', async () => {
  const { ca, host } = await created();
  for (const purpose of ['sslserver', 'sslclient']) {
    const { stdout } = await openssl(
      ...['verify', '-x509_strict', '-purpose', purpose, '-CAfile', `${ca}/ca.crt`, `${host}/host.crt`],
    );
    expect(stdout).toBe(`${host}/host.crt: OK\n`);
  }
  const { stdout } = await openssl('x509', '-in', `${host}/host.crt`, '-noout', '-ext', 'subjectAltName');
  expect(stdout).toContain('URI:rlnet://demo/host/n1');
  const { stdout: key } = await openssl('pkey', '-in', `${host}/host.key`, '-noout', '-check');
  expect(key).toContain('Key is valid');
});

test.for([
  ['ca.key', 'create-ca', ['--cluster', 'demo']],
  ['ca.crt', 'create-ca', ['--cluster', 'demo']],
  ['host.key', 'create-host', ['n1', '--ca-dir', 'CA']],
  ['host.crt', 'create-host', ['n1', '--ca-dir', 'CA']],
] as const)(
  'where %s is there already, %s replaces nothing and writes nothing',
  async ([file, command, args]) => {
    const directory = await temporaryDirectory();
    await mkdir(`${directory}/out`);
    await writeFile(`${directory}/out/${file}`, 'precious');
    if (command === 'create-host')
      await rlnet(['tls', 'create-ca', '--cluster', 'demo', '--out', `${directory}/ca`]);
    const named = args.map((arg) => (arg === 'CA' ? `${directory}/ca` : arg));
    const ended = await rlnet(['tls', command, ...named, '--out', `${directory}/out`, '--json']);
    expect(ended).toMatchObject({ exitCode: 3, stdout: '' });
    expect(reportOf(ended)).toMatchObject({
      code: 'TLS_FILE_EXISTS',
      message: `${directory}/out/${file} is there already and is not replaced.`,
    });
    expect(await readdir(`${directory}/out`)).toEqual([file]);
    expect(await readFile(`${directory}/out/${file}`, 'utf8')).toBe('precious');
  },
);

test.for(['-n1', 'n1/n2', 'n 1', '', 'n1.', 'ü', 'x'.repeat(65), '../n1'])(
  'a name that cannot stand in a certificate is refused: %j',
  async (name) => {
    const directory = await temporaryDirectory();
    const ended = await rlnet([
      'tls',
      'create-ca',
      `--cluster=${name}`,
      '--out',
      `${directory}/out`,
      '--json',
    ]);
    expect(ended).toMatchObject({ exitCode: 2, stdout: '' });
    expect(reportOf(ended)).toMatchObject({
      code: 'USAGE',
      message: `${JSON.stringify(name)} cannot be the name of a cluster.`,
    });
    expect(await readdir(directory)).toEqual([]);
  },
);

test.for(['0', '-1', '1.5', 'ten', '36501', '1e3', ''])('a term of %j days is refused', async (days) => {
  const directory = await temporaryDirectory();
  const ended = await rlnet([
    'tls',
    'create-ca',
    '--cluster',
    'demo',
    '--out',
    `${directory}/out`,
    `--days=${days}`,
    '--json',
  ]);
  expect(ended).toMatchObject({ exitCode: 2, stdout: '' });
  expect(reportOf(ended)).toMatchObject({ code: 'USAGE', message: expect.stringContaining('--days') });
  expect(await readdir(directory)).toEqual([]);
});

test('a host certificate is not made with the key of another CA', async () => {
  const { ca } = await created();
  const { ca: other } = await created();
  await writeFile(`${ca}/ca.key`, await readFile(`${other}/ca.key`));
  const ended = await rlnet(['tls', 'create-host', 'n1', '--ca-dir', ca, '--out', `${ca}/out`, '--json']);
  expect(ended).toMatchObject({ exitCode: 3, stdout: '' });
  expect(reportOf(ended).code).toBe('TLS_FILE_INVALID');
  expect(await readdir(ca)).not.toContain('out');
});

test('a directory that holds no CA is named', async () => {
  const directory = await temporaryDirectory();
  const ended = await rlnet(['tls', 'create-host', 'n1', '--ca-dir', directory, '--out', directory]);
  expect(ended).toMatchObject({ exitCode: 3, stdout: '' });
  expect(ended.stderr).toMatch(
    /^rlnet: TLS_FILE_UNREADABLE: \S+\/ca\.crt cannot be read \(ENOENT\)\.\n {2}\S/,
  );
});

test('show tells whose a certificate is, by whom and how long, in text and in JSON', async () => {
  const { ca, host } = await created();
  const files = [`${ca}/ca.crt`, `${host}/host.crt`];
  const { stdout: text } = await rlnet(['tls', 'show', ...files]);
  const { stdout } = await rlnet(['tls', 'show', '--json', ...files]);
  const [authority, own] = JSON.parse(stdout) as Record<string, string | number | boolean>[];
  expect(authority).toMatchObject({ file: files[0], ca: true, daysLeft: 3649 });
  expect(own).toMatchObject({
    file: files[1],
    ca: false,
    identity: 'rlnet://demo/host/n1',
    issuer: authority?.['subject'],
    keyType: 'ec',
    daysLeft: 824,
  });
  for (const key of [
    'file',
    'identity',
    'issuer',
    'notBefore',
    'notAfter',
    'serial',
    'fingerprint256',
    'keyType',
  ])
    expect(text).toContain(own?.[key]);
  expect(text).toContain('(824 days left)');
});

test('show says of a certificate that is over that it is', async () => {
  const directory = await temporaryDirectory();
  const random = createRandom();
  const tenDaysAgo = Date.now() - 10 * 86_400_000;
  const ca = await issueCa('demo', { now: tenDaysAgo, days: 30, random: random.id() });
  const { certificate } = await issueHost(ca, 'n1', { now: tenDaysAgo, days: 9, random: random.id() });
  await writeFile(`${directory}/host.crt`, certificate);
  const { stdout } = await rlnet(['tls', 'show', `${directory}/host.crt`]);
  expect(stdout).toContain('(EXPIRED)');
  const { stdout: asJson } = await rlnet(['tls', 'show', '--json', `${directory}/host.crt`]);
  expect(JSON.parse(asJson)).toMatchObject([{ daysLeft: -2 }]);
});

test('show refuses what is no certificate', async () => {
  const { host } = await created();
  const ended = await rlnet(['tls', 'show', `${host}/host.key`, '--json']);
  expect(ended).toMatchObject({ exitCode: 3, stdout: '' });
  expect(reportOf(ended).code).toBe('TLS_FILE_INVALID');
});
