import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { attachLab, downLab } from '../support/lab/lab.ts';
import { run } from '../support/lab/run.ts';
import { repository } from '../support/lab/software.ts';
import { sampleOf } from '../support/sampling.ts';

/** The main job of the project, as a person runs it. Its lab has a fixed name, and may be somebody's. */
const labName = 'demo';

test.for(
  sampleOf(
    [
      { family: 'ipv6', internal: 'fd77:0:0:1::2', moved: 'fd77:0:0:1::52', options: [] },
      { family: 'ipv4', internal: '10.77.0.2', moved: '10.77.0.52', options: ['--ipv4'] },
    ],
    1,
  ),
)(
  'the demo over $family shows three hosts that know each other and a finding, moves a node, brings another back, and leaves them up',
  { timeout: 600_000 },
  async ({ family, internal, moved, options }, { skip }) => {
    const taken = await attachLab(labName).then(
      () => true,
      () => false,
    );
    if (taken) skip(`a lab named ${labName} is up already; scripts/lab down --name ${labName} ends it`);
    onTestFinished(() => downLab(labName));
    const started = performance.now();
    const demo = join(repository, 'test/support/lab/demo.ts');
    const { exitCode, stdout, stderr } = await run([process.execPath, demo, ...options], {
      timeoutMs: 540_000,
    });
    expect(exitCode, stderr).toBe(0);
    const learned = Number(/n1 knew it after (\d+) ms/.exec(stdout)?.[1]);
    process.stdout.write(
      `  measured: the demo took ${Math.round(performance.now() - started)} ms, and n1 knew after ${learned} ms\n`,
    );
    expect(learned).toBeLessThan(2_000);
    const [ofAll] = /^all of it .* rlnet's own .*$/m.exec(stdout) ?? [];
    process.stdout.write(`  measured: a renumbering over ${family}: ${ofAll}\n`);
    expect(ofAll).toMatch(/own \d+\.\d s$/);

    const shown = (command: string): string[] =>
      stdout
        .split(/^n1# /m)
        .filter((part) => part.startsWith(`${command}\n`))
        .map((part) => part.slice(0, part.search(/^\[ *\d+\.\d s\]/m)));
    const [before, after, ofMoved, atEnd] = shown('rlnet status');
    expect(before).toContain(`internal family ${family}, seen from n1`);
    for (const column of ['ROLE', 'INTERNAL', 'EXTERNAL', 'RS', 'UNIT', '::1 LOCALHOST', 'AGENT'])
      expect(before).toContain(column);
    for (const node of [1, 2, 3]) {
      const row = new RegExp(
        `^${node} +(master|slave) +n${node} +${internal}${node} +\\S*10\\.88\\.0\\.2${node}\\S* +OK +rlec_supervisor active +present +(this host|linked)`,
        'm',
      );
      expect(before).toMatch(row);
    }
    expect(before).toMatch(/^no findings$/m);

    const [interfaces] = shown('rlnet interfaces 2');
    expect(interfaces).toContain('interfaces of n2');
    for (const address of ['10.77.0.22/24', 'fd77:0:0:1::22/64', '10.88.0.22/24', 'fd88:0:0:1::22/64'])
      expect(interfaces).toContain(address);

    expect(after).toMatch(/^error {2}n3 {2}HOSTS_LOCALHOST_IPV6_MISSING /m);
    expect(shown('rlnet check n3')[0]).toMatch(/^fail +HOSTS_LOCALHOST_IPV6_MISSING /m);
    const followed = shown('rlnet renumber follow');
    expect(followed).toHaveLength(3);
    expect(followed[0]).toMatch(/ restart…\n[\s\S]* readdress done: .*\n[\s\S]* done\n/);
    expect(followed[1]).toMatch(/rolled back: ADDRESS_IN_USE: /);
    expect(followed[1]).not.toContain('demote');
    expect(followed[2]).toMatch(/ start…\n[\s\S]*rolled back: UNIT_(FAILED|START_LIMIT): /);
    expect(stdout).toMatch(/2 of 3 nodes served at least, without quorum for 0 ms, databases offline: none/);
    for (const status of [ofMoved, atEnd]) {
      expect(status).toMatch(new RegExp(`^2 +\\w+ +n2 +${moved} `, 'm'));
      expect(status?.match(/ OK +rlec_supervisor active /g)).toHaveLength(3);
    }
    expect(atEnd).toMatch(new RegExp(`^3 +\\w+ +n3 +${internal}3 `, 'm'));
    expect(stdout).toContain(`scripts/lab shell n1 --name ${labName}`);
    expect(stdout).toContain(`scripts/lab down --name ${labName}`);

    const lab = await attachLab(labName);
    expect(await lab.host('n1').execOk(['rlnet', 'status'])).toMatch(new RegExp(`^2 .* ${moved} `, 'm'));
  },
);
