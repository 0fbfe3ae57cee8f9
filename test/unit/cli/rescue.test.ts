import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeRecord } from '../../../src/agent/renumbering/journal-text.ts';
import { renderRescue } from '../../../src/cli/render/rescue.ts';
import { type RescueReport, rescue } from '../../../src/protocol/renumbering/rescue.ts';
import { rlnet } from '../../support/cli.ts';
import { readSource } from '../../support/imports.ts';
import { armed, disabledUnit, facts, forwardTo, journal } from '../../support/renumbering/rescue.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const planId = '0123456789ab';

/** A host with the journal of a renumbering whose agent is gone: before the change of the address, with the dead man armed. */
async function home(damage: (line: string, number: number) => string = (line) => line) {
  const directory = await temporaryDirectory();
  const state = `${directory}/state`;
  await mkdir(`${state}/dead-man`, { recursive: true });
  const lines = forwardTo('restart').map((record, index) =>
    damage(encodeRecord(index + 1, record), index + 1),
  );
  await writeFile(`${state}/${planId}.ndjson`, lines.join(''));
  await writeFile(`${state}/dead-man/script`, 'exit 1\n');
  await writeFile(`${state}/dead-man/word`, 'old\n');
  const config = `${directory}/agent.yaml`;
  await writeFile(
    config,
    `rs: {rladmin: ${directory}/rladmin}\ndirectories: {state: ${state}, runtime: ${directory}/run}\n`,
  );
  const run = async (...args: string[]): Promise<{ status: number | null; report: RescueReport }> => {
    const { exitCode, stdout, stderr } = await rlnet(['rescue', '--json', '--config', config, ...args]);
    if (stdout === '') throw new Error(stderr);
    return { status: exitCode, report: JSON.parse(stdout) as RescueReport };
  };
  return { directory, state, config, run };
}

/** Each test starts the real command line, which takes its time on a busy machine. */
describe('rlnet rescue', { timeout: 60_000 }, () => {
  it('reads journal and dead man where no agent, no RS and no certificate is there, and writes nothing', async () => {
    const { directory, state, run } = await home();
    const before = await readdir(directory, { recursive: true });
    const { status, report } = await run();
    expect(report).toMatchObject({
      state: 'interrupted',
      renumbering: { planId, direction: 'forward', step: 'restart' },
    });
    expect(report.seen[0]?.is).toContain('by the journal nobody has told it the new one');
    // Without systemd on this machine the unit is not known.
    expect([33, 34]).toContain(status);
    expect(await readdir(directory, { recursive: true })).toEqual(before);
    expect(readFileSync(`${state}/dead-man/word`, 'utf8')).toBe('old\n');
  });

  it("goes by the dead man's word where the journal is damaged, with the records before the damage", async () => {
    const { state, run } = await home((line, number) => (number === 3 ? line.replace('wall', 'wa11') : line));
    const { report } = await run();
    expect(report.state).toBe('damaged');
    expect(report.summary).toContain(`${state}/${planId}.ndjson`);
    expect(report.summary).toContain('line 3');
    expect(report.seen[0]?.is).toContain("by the dead man's word");
  });

  it('believes an address that a person has seen in RS, and refuses one with a prefix length', async () => {
    const { run, config } = await home();
    const { report } = await run('--rs-address', '192.0.2.52');
    expect(report.seen[0]?.is).toContain('has the new address, 192.0.2.52 (as you have seen it)');
    const refused = await rlnet(['rescue', '--config', config, '--rs-address', '192.0.2.52/24']);
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
  });

  it('takes defaults where the configuration is broken, and says so', async () => {
    const { directory } = await home();
    const config = `${directory}/broken.yaml`;
    await writeFile(config, 'mesh: [');
    const { stdout } = await rlnet(['rescue', '--config', config]);
    expect(stdout).toContain(config);
  });

  it('passes over a journal of which no whole line ever got to the disk', async () => {
    const { run } = await home((line, number) => (number === 1 ? line.slice(0, 40) : ''));
    expect((await run()).report.renumbering).toBeUndefined();
  });

  it('is made without the mesh, its certificates and its library', () => {
    const checkout = join(import.meta.dirname, '../../..');
    const seen = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const { specifier = '?' } of readSource(file, readFileSync(join(checkout, file), 'utf8'))
        .imports) {
        if (specifier.startsWith('.')) visit(join(dirname(file), specifier));
        else packages.add(specifier);
      }
    };
    visit('src/cli/commands/rescue.ts');
    expect([...seen].every((file) => existsSync(join(checkout, file)))).toBe(true);
    expect(seen).toContain('src/protocol/renumbering/rescue.ts');
    expect([...seen].filter((file) => /mesh\/|tls|agent\/agent\.ts/.test(file))).toEqual([]);
    expect(packages).not.toContain('ws');
  });
});

describe('what rlnet rescue prints', () => {
  it('has everything that is typed on a line of its own, with where and why', () => {
    const report = rescue(
      facts({ subject: journal(forwardTo('restart')), unit: { value: disabledUnit }, deadMan: armed() }),
    );
    const text = renderRescue(report).split('\n');
    for (const { command } of report.commands) expect(text).toContain(`     ${command}`);
    expect(text[0]).toBe(`interrupted: ${report.summary}`);
    expect(text).toContain('renumbering 0123456789ab: node 2 from 192.0.2.2/24 to 192.0.2.52/24');
    expect(text.join('\n')).toMatch(/dead man {2}It acts in 120 s/);
    expect(text.filter((line) => /^\d+\. ON ANOTHER NODE: /.test(line))).toHaveLength(3);
  });
});
