import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeHosts } from '../../src/host/hosts-syntax.ts';
import { hostsCases } from '../support/hosts-cases.ts';
import { isRoot } from '../support/netns.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe.skipIf(!isRoot)('judgeHosts agrees with glibc (needs root)', () => {
  it('on every known case', async () => {
    const verdicts = await askGlibc(hostsCases.map(({ text }) => text));
    expect(hostsCases.map(({ what }, index) => `${what}: ${verdicts[index]}`)).toEqual(
      hostsCases.map(({ what, verdict }) => `${what}: ${verdict}`),
    );
  });

  it('on files made of the pieces that matter, in any order', async () => {
    const pieces = fc.constantFrom(
      ...[
        '::1',
        '0::1',
        '127.0.0.1',
        'fe80::1',
        'localhost',
        'LOCALHOST',
        'localhost.',
        'node1',
        'local',
        'host',
      ],
      ...[
        ' ',
        ' ',
        '\t',
        '\r',
        '\v',
        '\f',
        '\n',
        '\n',
        '#',
        '\0',
        '\u00a0',
        '\ufeff',
        '\u2028',
        ':',
        '%',
        '.',
      ],
    );
    const texts = fc.sample(
      fc.array(pieces, { maxLength: 16 }).map((chosen) => chosen.join('')),
      { numRuns: 300 },
    );
    // Chance alone would hardly ever build the line.
    const likely = texts.map(
      (text, index) =>
        [text, `${text}\n`, `::1 ${text} localhost`, `::1 ${text} localhost\n`][index % 4] ?? text,
    );
    const verdicts = await askGlibc(likely);
    // Where glibc misreads a line for want of a newline, a version that does not may find more than we do; never less.
    const asked = likely.map((text, index) => ({
      text,
      glibc: verdicts[index],
      we: judgeHosts(text).localhostIpv6,
    }));
    expect(asked.filter(({ glibc, we }) => we === 'present' && glibc !== 'present')).toEqual([]);
    const whole = asked.filter(({ text }) => text.endsWith('\n') && !text.includes('\0'));
    expect(whole.filter(({ glibc, we }) => we !== glibc)).toEqual([]);
    expect(whole.length).toBeGreaterThan(0);
    expect(new Set(verdicts)).toEqual(new Set(['present', 'missing']));
  });
});

/** What getent finds with each text as /etc/hosts, in a mount namespace of its own. */
async function askGlibc(texts: readonly string[]): Promise<string[]> {
  const root = await temporaryDirectory();
  await mkdir(`${root}/cases`);
  await writeFile(`${root}/live`, '');
  await Promise.all(texts.map((text, index) => writeFile(`${root}/cases/${index}`, text)));
  const script = `
    mount --bind "$1/live" /etc/hosts || exit 1
    index=0
    while [ -e "$1/cases/$index" ]; do
      cat "$1/cases/$index" > "$1/live"
      if getent -s hosts:files ahostsv6 localhost | grep -q '^::1 '; then echo present; else echo missing; fi
      index=$((index + 1))
    done`;
  const { stdout } = await promisify(execFile)('unshare', ['--mount', 'sh', '-c', script, 'sh', root]);
  return stdout.trim().split('\n');
}
