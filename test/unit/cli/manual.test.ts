import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { rlnet } from '../../support/cli.ts';

/** Asks bash itself what it offers after some words, the last of which is being typed. */
async function bashCompletion(): Promise<(...words: string[]) => string[]> {
  const { stdout: script } = await rlnet(['completion', 'bash']);
  const ask = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rlnet; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return (...words) => {
    const printed = execFileSync('bash', ['-euc', ask, 'bash', 'rlnet', ...words], { encoding: 'utf8' });
    return printed.split('\n').filter((word) => word !== '');
  };
}

describe('rlnet completion bash', () => {
  it('offers the commands, and none that --help hides', async () => {
    const offered = await bashCompletion();
    expect(offered('')).toEqual(expect.arrayContaining(['status', 'mesh', 'tls', '--help']));
    expect(offered('')).not.toContain('man-page');
  });

  it('offers what goes on from there', async () => {
    const offered = await bashCompletion();
    expect(offered('me')).toEqual(['mesh']);
    expect(offered('mesh', 'f')).toEqual(['forget']);
    expect(offered('status', '--w')).toEqual(['--watch']);
    expect(offered('--help', 'mesh', 'forget', 'host', '--j')).toEqual(['--json']);
    expect(offered('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh']));
  });

  it('leaves the value of an option to the completion of file names', async () => {
    const offered = await bashCompletion();
    expect(offered('tls', 'create-host', 'n1', '--ca-dir', '')).toEqual([]);
  });
});

describe('rlnet completion', () => {
  it('refuses a shell that it does not know', async () => {
    expect(await rlnet(['completion', 'fish'])).toMatchObject({ exitCode: 2, stdout: '' });
  });

  it('names every command for zsh, with what it does', async () => {
    const { stdout } = await rlnet(['completion', 'zsh']);
    expect(stdout).toMatch(/^#compdef rlnet\n/);
    expect(stdout).toContain("'status:show the cluster as the agent of this host sees it'");
    // A colon ends the word that is offered.
    expect(stdout).toContain("'mesh:show the links between the agents\\: both sides of every pair'");
    expect(stdout).toContain("'--runtime-directory:where the agent'\\''s sockets are");
  });
});

describe('rlnet man-page', () => {
  it('has every command and option that --help has, written so that they can be searched for', async () => {
    const { stdout } = await rlnet(['man-page']);
    expect(stdout).toMatch(/^\.TH RLNET 1 "" "rlnet \d+\.\d+\.\d+"\n/);
    for (const command of [
      'rlnet status',
      'rlnet mesh forget',
      'rlnet tls create\\-ca',
      'rlnet config check',
    ])
      expect(stdout).toContain(`.SS "${command}`);
    expect(stdout).toContain('.B \\-\\-runtime\\-directory <dir>\nWhere the agent');
    expect(stdout).toContain('.B rlnet tls create\\-ca\n\\-\\-cluster <name> [');
    expect(stdout).not.toContain('man\\-page');
  });

  it('has no line that troff would take for a request of its own making', async () => {
    const { stdout } = await rlnet(['man-page']);
    const requests = stdout.split('\n').filter((line) => /^[.']/.test(line));
    for (const line of requests) expect(line).toMatch(/^\.(TH|SH|SS|TP|B|BR|br)( |$)/);
  });
});
