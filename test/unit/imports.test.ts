import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { breaches, type ImportRules, readSource } from '../support/imports.ts';

/** What may import what, and who alone may reach for the world. Change it here, with the reason. */
const rules: ImportRules = {
  layers: [
    {
      folder: 'src/protocol/',
      mayImport: ['src/protocol/'],
      builtins: { only: ['node:net'] },
      why: 'protocol is words and rules: it imports nothing else of ours, and of Node only isIP.',
    },
    {
      folder: 'src/host/',
      mayImport: ['src/protocol/', 'src/host/'],
      why: 'host knows this machine and the words of protocol, nothing above.',
    },
    {
      folder: 'src/agent/',
      mayImport: ['src/protocol/', 'src/agent/', 'src/host/ports/'],
      builtins: { not: ['node:fs', 'node:fs/promises', 'node:child_process', 'node:os', 'node:dns'] },
      why: 'the agent sees the host only through ports, so that a simulated one can take its place.',
    },
    {
      folder: 'src/collector/',
      mayImport: ['src/protocol/', 'src/collector/', 'src/host/ports/'],
      builtins: { not: ['node:fs', 'node:fs/promises', 'node:child_process', 'node:os', 'node:dns'] },
      why: 'the collector sees the host only through ports.',
    },
    { folder: 'src/cli/', mayImport: ['src/', 'package.json'], why: 'what ships stands in src.' },
  ],
  packages: [
    { name: 'execa', owners: ['src/host/exec.ts'], why: 'one place has bounds, locale and clean-up.' },
    {
      name: 'systeminformation',
      owners: ['src/host/inventory*.ts'],
      why: 'it blocks the event loop, and is no source of addresses.',
    },
    {
      name: 'ws',
      owners: ['src/agent/mesh/transport.ts', 'src/agent/report/connect.ts', 'src/collector/listener.ts'],
      why: 'caps and TLS stand in one place for the mesh, and in one for each end of reporting.',
    },
    { name: 'pino', owners: ['src/agent/log.ts'], why: 'one place knows what journald wants.' },
    { name: 'node-cron', owners: ['src/agent/schedule.ts'], why: 'it has timers of its own.' },
    {
      name: 'ipaddr.js',
      owners: ['src/protocol/address.ts'],
      why: 'it reads 010.0.0.1 as 8.0.0.1: addresses are parsed in one place.',
    },
    { name: 'yaml', owners: ['src/host/yaml.ts'], why: 'one place has its limits and its error positions.' },
    { name: '@peculiar/x509', owners: ['src/cli/tls-issue.ts'], why: 'only the CLI issues certificates.' },
    { name: 'reflect-metadata', owners: ['src/cli/tls-issue.ts'], why: '@peculiar/x509 asks for it.' },
    {
      name: 'commander',
      owners: ['src/cli/main.ts', 'src/cli/commands/**'],
      why: 'commands are parsed in the CLI.',
    },
    { name: 'log-update', owners: ['src/cli/live.ts'], why: 'one place knows what a terminal is.' },
    { name: 'valibot', owners: ['src/**'], why: 'every edge has its schema.' },
  ],
  ambient: [
    {
      names: [
        // `new Date(ms)` reads no clock.
        ...['new Date()', 'Date.now', 'performance', 'perf_hooks', 'process.hrtime', 'process.uptime'],
        ...['setTimeout', 'setInterval', 'setImmediate', 'timers', 'timers/promises', 'AbortSignal.timeout'],
      ],
      // A real process takes real time: the bound that Exec puts on it is never simulated.
      owners: ['src/host/clock.ts', 'src/host/exec.ts'],
      why: 'time that is not injected cannot be simulated.',
    },
    {
      names: [
        ...[
          'Math.random',
          'crypto.randomUUID',
          'crypto.randomBytes',
          'crypto.randomInt',
          'crypto.randomFill',
        ],
        ...['crypto.randomFillSync', 'crypto.getRandomValues', 'crypto.webcrypto.getRandomValues'],
      ],
      owners: ['src/host/random.ts'],
      why: 'a simulated run must come out the same for the same seed.',
    },
    {
      names: [
        'process.env',
        'process.argv',
        'process.cwd',
        'process.chdir',
        'process.exit',
        'process.exitCode',
      ],
      owners: ['src/cli/main.ts'],
      why: 'only the composition root knows its surroundings and ends the process.',
    },
  ],
};

const checkout = join(import.meta.dirname, '../..');
const read = (file: string) => readSource(file, readFileSync(join(checkout, file), 'utf8'));

/** The breaches in files that are given as path and text. */
function breachesIn(files: Record<string, string>): string[] {
  return breaches(
    Object.entries(files).map(([file, text]) => readSource(file, text)),
    rules,
  );
}

describe('the sources', () => {
  it('keep the import rule', () => {
    const files = globSync('src/**/*.ts', { cwd: checkout }).sort();
    expect(files).toContain('src/protocol/address.ts');
    expect(breaches(files.map(read), rules)).toEqual([]);
  });

  it('have an owner for every package that ships', () => {
    const { dependencies } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    expect(rules.packages.map(({ name }) => name).sort()).toEqual(Object.keys(dependencies).sort());
  });
});

describe('the layers', () => {
  it.each([
    ['src/protocol/a.ts', '../host/b.ts', 'src/host/b.ts'],
    ['src/protocol/a.ts', '../../test/support/b.ts', 'test/support/b.ts'],
    ['src/protocol/a.ts', 'node:fs', 'node:fs'],
    ['src/host/a.ts', '../agent/b.ts', 'src/agent/b.ts'],
    ['src/host/ports/a.ts', '../../cli/b.ts', 'src/cli/b.ts'],
    ['src/agent/a.ts', '../host/files.ts', 'src/host/files.ts'],
    ['src/agent/mesh/a.ts', '../../collector/b.ts', 'src/collector/b.ts'],
    ['src/agent/a.ts', 'node:fs/promises', 'node:fs/promises'],
    ['src/collector/a.ts', '../agent/b.ts', 'src/agent/b.ts'],
    ['src/cli/a.ts', '../../test/support/b.ts', 'test/support/b.ts'],
  ])('keep %s from importing %s', (file, specifier, target) => {
    expect(breachesIn({ [file]: `import { b } from '${specifier}';` })).toEqual([
      expect.stringContaining(`${file}:1 imports ${target}: `),
    ]);
  });

  it.each([
    ['src/protocol/a.ts', './b.ts'],
    ['src/protocol/a.ts', 'node:net'],
    ['src/host/a.ts', '../protocol/b.ts'],
    ['src/host/a.ts', 'node:fs'],
    ['src/agent/mesh/a.ts', '../../host/ports/b.ts'],
    ['src/agent/a.ts', 'node:tls'],
    ['src/cli/a.ts', '../host/b.ts'],
    ['src/cli/a.ts', '../../package.json'],
  ])('let %s import %s', (file, specifier) => {
    expect(breachesIn({ [file]: `import { b } from '${specifier}';` })).toEqual([]);
  });

  it.each([
    ['a type', "import type { B } from '../host/b.ts';"],
    ['a name exported from', "export { b } from '../host/b.ts'; export const a = 1;"],
    ['all exported from', "export * from '../host/b.ts'; export const a = 1;"],
    ['for its effects', "import '../host/b.ts';"],
    ['dynamically', "export const b = () => import('../host/b.ts');"],
  ])('see what is imported as %s', (_how, text) => {
    expect(breachesIn({ 'src/protocol/a.ts': text })).toEqual([
      expect.stringContaining('imports src/host/b.ts'),
    ]);
  });

  it('do not take comments and strings for imports', () => {
    const text = `// import '../host/b.ts'\n/* import('../host/b.ts') */ export const a = "import '../host/b.ts'";`;
    expect(breachesIn({ 'src/protocol/a.ts': text })).toEqual([]);
  });

  it('refuse an import that only a run can tell, and a file of no layer', () => {
    expect(breachesIn({ 'src/host/a.ts': 'export const a = (name: string) => import(name);' })).toEqual([
      expect.stringContaining('only a run can tell'),
    ]);
    expect(breachesIn({ 'src/utils/a.ts': 'export const a = 1;' })).toEqual([
      expect.stringContaining('no folder'),
    ]);
  });
});

describe('packages', () => {
  it('are imported by their owners only, types too', () => {
    expect(breachesIn({ 'src/host/exec.ts': "import { execa } from 'execa';" })).toEqual([]);
    expect(breachesIn({ 'src/host/units.ts': "\nimport type { Result } from 'execa';" })).toEqual([
      'src/host/units.ts:2 imports execa, which belongs to src/host/exec.ts: one place has bounds, locale and clean-up.',
    ]);
  });

  it('are known by their name where a file inside them is imported, scoped or not', () => {
    expect(breachesIn({ 'src/host/a.ts': "import 'yaml/util'; import '@peculiar/x509/build';" })).toEqual([
      expect.stringContaining('imports yaml, '),
      expect.stringContaining('imports @peculiar/x509, '),
    ]);
  });

  it('without an owner are refused, and so is a module of Node without its prefix', () => {
    expect(breachesIn({ 'src/host/a.ts': "import 'left-pad'; import 'fs';" })).toEqual([
      expect.stringContaining('imports left-pad, which no file owns'),
      expect.stringContaining('imports fs, which no file owns'),
    ]);
  });
});

describe('time, randomness and surroundings', () => {
  it.each([
    ['Date.now', 'export const a = Date.now();'],
    ['new Date()', 'export const a = new Date();'],
    ['performance.now', 'export const a = performance.now();'],
    ['setTimeout', 'setTimeout(() => {}, 1);'],
    ['setTimeout', 'export const a = { setTimeout };'],
    ['setImmediate', 'globalThis.setImmediate(() => {});'],
    ['AbortSignal.timeout', 'export const a = AbortSignal.timeout(5);'],
    [
      'timers/promises.setTimeout',
      "import { setTimeout as sleep } from 'node:timers/promises'; await sleep(1);",
    ],
    ['timers.setInterval', "import * as t from 'node:timers'; t.setInterval(() => {}, 1);"],
    ['Math.random', 'export const a = [1].map(Math.random);'],
    ['crypto.randomUUID', 'export const a = crypto.randomUUID();'],
    ['crypto.randomBytes', "import { randomBytes } from 'node:crypto'; export const a = randomBytes(4);"],
    ['crypto.randomInt', "import c from 'node:crypto'; export const a = c.randomInt(4);"],
    ['process.env.HOME', 'export const a = process.env.HOME;'],
    ['process.env', "export const a = process.env['HOME'];"],
    ['process.env', 'const { env } = process; export { env };'],
    ['process.exit', "import process from 'node:process'; process.exit(1);"],
  ])('are seen: %s in `%s`', (name, text) => {
    expect(breachesIn({ 'src/host/a.ts': text })).toEqual([
      expect.stringMatching(`^src/host/a.ts:1 uses ${RegExp.escape(name)}, which belongs to `),
    ]);
  });

  it.each([
    ['a moment that is given', 'export const a = (ms: number) => new Date(ms).toISOString();'],
    ['a type', 'export type A = { at: Date; timer: ReturnType<typeof setTimeout> };'],
    [
      'a member of the same name',
      'export const a = (clock: C) => clock.setTimeout(() => {}, 1); type C = any;',
    ],
    ['a key of the same name', 'export const a = { performance: 1 };'],
    ['an import of the same name', "import { setTimeout } from './b.ts'; setTimeout(1);"],
    ['other parts of a watched module', "import { createHash } from 'node:crypto'; createHash('sha256');"],
  ])('are not seen in %s', (_what, text) => {
    expect(breachesIn({ 'src/host/a.ts': text })).toEqual([]);
  });

  it('are free to their owners', () => {
    expect(breachesIn({ 'src/host/clock.ts': 'export const now = () => Date.now();' })).toEqual([]);
    expect(breachesIn({ 'src/cli/main.ts': 'process.exit(process.argv.length);' })).toEqual([]);
  });
});

/** All that acts on a host, on RS or on the cluster's lock, and all that decides about it. */
const acts = [
  'src/host/**/*.ts',
  'src/protocol/renumbering/*.ts',
  'src/agent/{renumbering,bootstrap,external}/**/*.ts',
  'src/agent/{handlers,call,reach}.ts',
];

it('nothing that acts reads the verdict on a peer: the detector only reports', () => {
  const acting = acts.flatMap((pattern) => globSync(pattern, { cwd: checkout }));
  expect(acting.length).toBeGreaterThan(100);
  const reading = acting.filter((file) =>
    /\breachability\b/.test(readFileSync(join(checkout, file), 'utf8')),
  );
  expect(reading).toEqual([]);
});

describe('the shape', () => {
  it('has no cycles, by types either', () => {
    const found = breachesIn({
      'src/host/a.ts': "import './b.ts'; export const a = 1;",
      'src/host/b.ts': "import type { C } from './c.ts'; export const b = 1;",
      'src/host/c.ts': "import './a.ts'; import './d.ts'; export type C = 1;",
      'src/host/d.ts': 'export const d = 1;',
    });
    expect(found).toEqual([
      expect.stringContaining('src/host/a.ts → src/host/b.ts → src/host/c.ts → src/host/a.ts is a cycle'),
    ]);
  });

  it('has no barrel files, by name or by nature', () => {
    expect(breachesIn({ 'src/host/index.ts': 'export const a = 1;' })).toEqual([
      expect.stringContaining('barrel'),
    ]);
    expect(breachesIn({ 'src/host/all.ts': "export * from './a.ts'; export { b } from './b.ts';" })).toEqual([
      expect.stringContaining('barrel'),
    ]);
    expect(breachesIn({ 'src/host/one.ts': "export * from './a.ts'; export const own = 1;" })).toEqual([]);
  });
});
