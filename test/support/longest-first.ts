import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take longest, the longest first; `scripts/test` says what each takes. They begin first, so that at the end no core waits for
 * one of them alone. It is only a hint: a file that is missing here begins later.
 */
const long = [
  'test/lab/renumbering.test.ts',
  'test/lab/renumbering-faults.test.ts',
  'test/lab/bootstrap.test.ts',
  'test/lab/owner-ifupdown.test.ts',
  'test/lab/kernel-addresses.test.ts',
  'test/lab/owner-network-manager.test.ts',
  'test/lab/owner-netplan.test.ts',
  'test/lab/owner-networkd.test.ts',
  'test/lab/unit.test.ts',
  'test/sim/renumbering.test.ts',
  'test/sim/detection.test.ts',
  'test/unit/cli/configuration.test.ts',
  'test/unit/cli/agent.test.ts',
  'test/unit/mesh/flood.test.ts',
  'test/unit/scripts-test.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = long.findIndex((name) => moduleId.endsWith(`/${name}`));
      return index === -1 ? long.length : index;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
