import { expect, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { reportOf, rlnet } from '../../support/cli.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test.for([
  [['staus'], "unknown command 'staus'"],
  [['status', '--wach'], "unknown option '--wach'"],
  [['status', 'n1'], 'too many arguments'],
  [['tls', 'create-host', '--ca-dir', '.'], "missing required argument 'host'"],
  [['tls', 'create-ca'], "required option '--cluster <name>' not specified"],
] as const)('%j is refused as a wrong command line', async ([args, names]) => {
  const [text, asJson] = await Promise.all([rlnet(args), rlnet([...args, '--json'])]);
  expect(text).toMatchObject({ exitCode: 2, stdout: '' });
  expect(asJson).toMatchObject({ exitCode: 2, stdout: '' });
  expect(text.stderr).toMatch(/^rlnet: USAGE: [^\n]+\.\n {2}Run it with --help[^\n]+\n$/);
  expect(text.stderr).toContain(names);
  // An unknown command knows no --json either, and that is what it stumbles over.
  expect(reportOf(asJson).code).toBe('USAGE');
});

test('no command shows what there is', async () => {
  const { exitCode, stdout, stderr } = await rlnet([]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  for (const command of ['agent', 'status', 'interfaces', 'check', 'tls', 'config'])
    expect(stderr).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
});

test('--help and --version are answers, not errors', async () => {
  expect(await rlnet(['--version'])).toEqual({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: '' });
  const { exitCode, stdout, stderr } = await rlnet(['check', '--help']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain('Usage: rlnet check [options] [node]');
});

test.for([['status'], ['interfaces'], ['interfaces', '2'], ['check']])(
  '%j without an agent says that none runs',
  async (args) => {
    const directory = await temporaryDirectory();
    const ended = await rlnet([...args, '--runtime-directory', directory, '--json']);
    expect(ended).toMatchObject({ exitCode: 5, stdout: '' });
    expect(reportOf(ended)).toMatchObject({
      code: 'AGENT_NOT_RUNNING',
      message: `No agent listens on ${directory}/read.sock (ENOENT).`,
    });
  },
);
