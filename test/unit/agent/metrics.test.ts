import { expect, it } from 'vitest';
import { agentMetrics, type Measured } from '../../../src/agent/metrics.ts';
import { exposition } from '../../../src/protocol/exposition.ts';
import { measured } from '../../support/measured.ts';

const linesOf = (some: Partial<Measured> = {}): string[] =>
  agentMetrics({ ...measured(), ...some }).split('\n');

it('names the cluster, the host and its node in every sample, and an address in none', () => {
  const samples = linesOf().filter((line) => line !== '' && !line.startsWith('#'));
  expect(samples.length).toBeGreaterThan(15);
  for (const sample of samples) {
    expect(sample).toMatch(/^rlnet_[a-z_]+\{cluster="demo",host="n1",node_uid="1"/);
    expect(sample).not.toMatch(/\d+\.\d+\.\d+\.\d+|::|fd77/);
  }
});

it('says nothing of what is not known, and never 0', () => {
  const { facts } = measured();
  const text = agentMetrics({ ...measured(), facts: { ...facts, observations: {} } });
  for (const name of ['rlnet_rs_unit_active', 'rlnet_internal_address_bound', 'rlnet_rs_node_ok'])
    expect(text).not.toContain(name);
});

it('has nothing of reports where no collector is configured', () => {
  const { facts } = measured();
  expect(agentMetrics({ ...measured(), facts: { ...facts, report: undefined } })).not.toContain(
    'rlnet_collector_connected',
  );
});

it('escapes what would end a label or a line', () => {
  const text = exposition([
    { name: 'a', help: 'one\ntwo', type: 'gauge', samples: [{ labels: { b: 'x"y\\z\n' }, value: 1.5 }] },
  ]);
  expect(text).toBe('# HELP a one\\ntwo\n# TYPE a gauge\na{b="x\\"y\\\\z\\n"} 1.5\n');
});
