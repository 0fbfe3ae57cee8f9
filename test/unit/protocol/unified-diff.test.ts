import { writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createExec } from '../../../src/host/exec.ts';
import { unifiedDiff } from '../../../src/protocol/unified-diff.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

describe('a unified diff', () => {
  it('shows one change with three lines around it', () => {
    const before = 'a\nb\nc\nd\ne\nf\ng\nh\n';
    expect(unifiedDiff('/etc/x', before, before.replace('e', 'E'))).toBe(
      '--- /etc/x\n+++ /etc/x\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n',
    );
  });

  it('says where a file does not end with a newline', () => {
    expect(unifiedDiff('/etc/x', 'a\nb', 'a\nc')).toBe(
      '--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n',
    );
  });

  it('is empty for a file that stays as it is', () => {
    expect(unifiedDiff('/etc/x', 'a\n', 'a\n')).toBe('');
  });

  it('has the lines that diff -u has where only single lines change', async () => {
    const directory = await temporaryDirectory();
    const exec = createExec();
    const line = fc.constantFrom('a', 'b', 'c', '', 'Address=10.0.0.1/24');
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 30 }),
        fc.nat(29),
        fc.boolean(),
        async (lines, at, ends) => {
          const end = ends ? '\n' : '';
          const before = lines.join('\n') + end;
          const after = lines.map((text, index) => (index === at ? 'changed' : text)).join('\n') + end;
          await writeFile(`${directory}/before`, before);
          await writeFile(`${directory}/after`, after);
          const { stdout } = await exec.run(
            'diff',
            ['-u', '--label', '/etc/x', '--label', '/etc/x', `${directory}/before`, `${directory}/after`],
            { timeoutMs: 10_000 },
          );
          expect(unifiedDiff('/etc/x', before, after)).toBe(stdout);
        },
      ),
      { numRuns: 40 },
    );
  });
});
