import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { type AgentHome, createCluster, reportOf, rlnet } from '../../support/cli.ts';

/** Every way to configure the agent wrongly, and what a person is told: docs/errors.md. */

const now = Date.now();
const host = await createCluster('demo', now);
// Of the same name, as when somebody made the CA anew.
const otherHost = await createCluster('demo', now);

interface Wrong {
  title: string;
  /** Makes the home wrong; what it returns stands before the sections that are right. */
  spoil: (home: AgentHome) => Promise<string> | string;
  code: string;
  /** Where in the configuration file; absent where the file itself is the trouble. */
  at?: [line: number, column: number];
  /** What the sentence has to name. */
  names: RegExp;
}

/** The line of a setting under `tls:` where nothing stands before it. */
const line = { ca: 2, certificate: 3, key: 4 } as const;
/** The column of a value: two blanks, the key, a colon, a blank. */
const column = { ca: 7, certificate: 16, key: 8 } as const;
const at = (setting: keyof typeof line): [number, number] => [line[setting], column[setting]];

const cases: readonly Wrong[] = [
  {
    title: 'a setting that there is not',
    spoil: () => 'mesch:\n  port: 9470\n',
    code: 'CONFIG_INVALID',
    at: [1, 1],
    names: /no setting mesch/,
  },
  {
    title: 'a setting that there is not, in a section',
    spoil: () => 'mesh:\n  port: 9470\n  sedes: []\n',
    code: 'CONFIG_INVALID',
    at: [3, 3],
    names: /no setting mesh\.sedes/,
  },
  {
    title: 'a prefix as an address, which the example of the vendor is',
    spoil: () => 'mesh:\n  seeds:\n    - 192.0.2.10\n    - 10.0.0.5/24\n',
    code: 'CONFIG_INVALID',
    at: [4, 7],
    names: /mesh\.seeds\.1: .*"10\.0\.0\.5\/24"/,
  },
  {
    title: 'an address with a leading zero, which some read as octal',
    spoil: () => 'mesh:\n  seeds: [010.0.0.1]\n',
    code: 'CONFIG_INVALID',
    at: [2, 11],
    names: /"010\.0\.0\.1"/,
  },
  {
    title: 'text where a number is wanted',
    spoil: () => 'mesh:\n  port: "9470"\n',
    code: 'CONFIG_INVALID',
    at: [2, 9],
    names: /mesh\.port/,
  },
  {
    title: 'a relative path',
    spoil: () => 'rs:\n  rladmin: bin/rladmin\n',
    code: 'CONFIG_INVALID',
    at: [2, 12],
    names: /rs\.rladmin/,
  },
  {
    title: 'a wait of no time',
    spoil: () => 'renumbering:\n  bounds:\n    soak: 0\n',
    code: 'CONFIG_INVALID',
    at: [3, 11],
    names: /renumbering\.bounds\.soak/,
  },
  {
    title: 'a hook without its path',
    spoil: () => 'network:\n  owner: hook\n',
    code: 'CONFIG_INVALID',
    at: [2, 3],
    names: /^.*network: .*owner: hook needs hook: PATH/,
  },
  {
    title: 'the path of a hook that nobody is to run',
    spoil: () => 'network:\n  hook: /etc/rlnet/network-hook\n',
    code: 'CONFIG_INVALID',
    at: [2, 3],
    names: /no other owner takes one/,
  },
  {
    title: 'an unknown setting beside a hook',
    spoil: () => 'network:\n  oner: hook\n',
    code: 'CONFIG_INVALID',
    at: [2, 3],
    names: /no setting network\.oner/,
  },
  {
    title: 'a word that is none of those to choose from',
    spoil: () => 'mode: obsrve\n',
    code: 'CONFIG_INVALID',
    at: [1, 7],
    names: /mode/,
  },
  {
    title: 'what is not YAML',
    spoil: () => 'mesh:\n  seeds: [fd77::1\n',
    code: 'CONFIG_INVALID',
    at: [3, 1],
    names: /not valid YAML/,
  },
  {
    title: 'a key that is given twice',
    spoil: () => 'mode: manage\nmode: observe\n',
    code: 'CONFIG_INVALID',
    at: [2, 1],
    names: /not valid YAML: Map keys must be unique/,
  },
  {
    title: 'no configuration file',
    spoil: async ({ config }) => {
      await rm(config);
      return '';
    },
    code: 'CONFIG_UNREADABLE',
    names: /ENOENT/,
  },
  {
    title: 'a configuration file that cannot be read',
    spoil: async ({ config }) => {
      // Not even root can read a directory as a file.
      await rm(config);
      await mkdir(config);
      return '';
    },
    code: 'CONFIG_UNREADABLE',
    names: /EISDIR/,
  },
  {
    title: 'no key file',
    spoil: async ({ tls }) => {
      await rm(tls.key);
      return '';
    },
    code: 'TLS_FILE_UNREADABLE',
    at: at('key'),
    names: /tls\.key: \S+host\.key cannot be read \(ENOENT\)/,
  },
  {
    title: 'a key file that cannot be read',
    spoil: async ({ tls }) => {
      await rm(tls.key);
      await mkdir(tls.key);
      return '';
    },
    code: 'TLS_FILE_UNREADABLE',
    at: at('key'),
    names: /EISDIR/,
  },
  {
    title: 'a key that everybody may read',
    spoil: async ({ tls }) => {
      await chmod(tls.key, 0o644);
      return '';
    },
    code: 'TLS_FILE_INVALID',
    at: at('key'),
    names: /read by everybody \(mode 0644\)/,
  },
  {
    title: 'a key that is not the key of the certificate',
    spoil: async ({ tls }) => {
      await copyFile((await host('n2')).tls.key, tls.key);
      return '';
    },
    code: 'TLS_FILE_INVALID',
    at: at('key'),
    names: /not the key of the certificate/,
  },
  {
    title: 'a key file without a key',
    spoil: async ({ tls }) => {
      await writeFile(tls.key, 'no key\n');
      return '';
    },
    code: 'TLS_FILE_INVALID',
    at: at('key'),
    names: /not a private key in PEM/,
  },
  {
    title: 'a CA file without a certificate',
    spoil: async ({ tls }) => {
      await writeFile(tls.ca, '');
      return '';
    },
    code: 'TLS_FILE_INVALID',
    at: at('ca'),
    names: /not a certificate in PEM/,
  },
  {
    title: 'a certificate of another CA of the same name',
    spoil: async ({ tls }) => {
      await copyFile((await otherHost('n1')).tls.ca, tls.ca);
      return '';
    },
    code: 'TLS_FILE_INVALID',
    at: at('certificate'),
    names: /not signed by the CA/,
  },
  {
    title: 'a certificate that names no host',
    spoil: async ({ tls, directory }) => {
      await rlnet(['tls', 'create-ca', '--cluster', 'demo', '--out', `${directory}/new`]);
      await copyFile(`${directory}/new/ca.crt`, tls.ca);
      await copyFile(`${directory}/new/ca.crt`, tls.certificate);
      await copyFile(`${directory}/new/ca.key`, tls.key);
      return '';
    },
    code: 'TLS_IDENTITY_MISMATCH',
    at: at('certificate'),
    names: /no name rlnet:\/\//,
  },
];

describe('the agent refuses, with place, code, sentence and remedy', () => {
  test.for(cases)('$title', async ({ spoil, code, at: place, names }) => {
    const home = await host('n1');
    const { config } = home;
    const text = await spoil(home);
    if (text !== '') await home.configure(text);

    const [checked, asJson, agent] = await Promise.all([
      rlnet(['config', 'check', config]),
      rlnet(['config', 'check', '--json', config]),
      rlnet(['agent', '--config', config]),
    ]);
    const report = reportOf(asJson);
    expect(report.code).toBe(code);
    expect(report.message).toMatch(names);
    expect(report.message).toMatch(/^[^\n]{10,}$/);
    expect(report.remedy).toMatch(/^[^\n]{5,}$/);
    expect(report.at).toEqual(
      place === undefined ? { file: config } : { file: config, line: place[0], column: place[1] },
    );

    const where = [config, ...(place ?? [])].join(':');
    expect(checked.stderr).toBe(`rlnet: ${where}: ${code}: ${report.message}\n  ${report.remedy}\n`);
    expect(agent.stderr).toBe(checked.stderr);
    for (const { exitCode, stdout } of [checked, asJson, agent]) {
      expect(exitCode).toBe(3);
      expect(stdout).toBe('');
    }
  });
});

describe('a configuration that is right', () => {
  test('is said to be fine, and whose it is', async () => {
    const { config } = await host('n1', 'mode: observe\n');
    expect(await rlnet(['config', 'check', config])).toEqual({
      exitCode: 0,
      stdout: `${config} is fine; this host is rlnet://demo/host/n1\n`,
      stderr: '',
    });
    const { stdout } = await rlnet(['config', 'check', '--json', config]);
    expect(JSON.parse(stdout)).toMatchObject({
      file: config,
      identity: 'rlnet://demo/host/n1',
      settings: { mode: 'observe', mesh: { port: 9470, seeds: [] }, log: { level: 'info' } },
    });
  });

  test('may leave every setting of a section commented out', async () => {
    const { config } = await host('n1', 'mesh:\n  # port: 9470\n');
    expect((await rlnet(['config', 'check', config])).exitCode).toBe(0);
  });
});

test('a list where settings by name are wanted is refused', async () => {
  const { config } = await host('n1', 'mesh: []\n');
  expect((await rlnet(['config', 'check', config])).exitCode).toBe(3);
});
