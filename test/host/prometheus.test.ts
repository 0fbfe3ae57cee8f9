import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { agentMetrics } from '../../src/agent/metrics.ts';
import { collectorMetrics } from '../../src/collector/metrics.ts';
import { exampleView } from '../support/example-view.ts';
import { measured } from '../support/measured.ts';

/** Prometheus' own tool, as Debian and Ubuntu have it; `scripts/setup host` unpacks it. */
const checkout = join(import.meta.dirname, '../..');
const promtool = join(checkout, '.runtime/prometheus/usr/bin/promtool');

function run(args: readonly string[], input = ''): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: checkout, encoding: 'utf8', input });
  return { status, said: `${stdout}${stderr}` };
}

test('is there', () => {
  expect(existsSync(promtool)).toBe(true);
});

describe('promtool check metrics', () => {
  test('has nothing against what an agent says', () => {
    expect(run(['check', 'metrics'], agentMetrics(measured()))).toEqual({ status: 0, said: '' });
  });

  test('has nothing against what a collector says', () => {
    const [state] = exampleView().hosts.flatMap((host) => host.state ?? []);
    if (state === undefined) throw new RangeError('no state');
    const { state: withFinding } = measured();
    const host = {
      cluster: 'demo',
      host: 'n1',
      version: '1',
      connected: true,
      silent: false,
      at: 1,
      received: 2,
      links: [],
      state: withFinding,
    };
    const counts = { connections: 1, reports: 2, events: 3, refused: 4, failures: 5, trouble: undefined };
    expect(run(['check', 'metrics'], collectorMetrics([host], counts, { bytes: 6, lost: 7 }))).toEqual({
      status: 0,
      said: '',
    });
  });

  test('would have something against a name that is not by the book', () => {
    const { status, said } = run(['check', 'metrics'], '# TYPE rlnet_total gauge\nrlnet_total 1\n');
    expect(status).toBe(3);
    expect(said).toContain('_total');
  });
});

describe('the alert rules', () => {
  test('are rules', () => {
    expect(run(['check', 'rules', 'packaging/prometheus/rlnet.rules.yaml'])).toMatchObject({ status: 0 });
  });

  test('fire each in its case, and not where all is well', () => {
    const { status, said } = run(['test', 'rules', 'test/fixtures/prometheus/rules.test.yaml']);
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });
});
