import { RlnetError } from '../protocol/errors.ts';
import type { Exec } from './ports/exec.ts';

const timeoutMs = 10_000;

/** How each packager is asked for the version of RS's package, which has the same name in both. */
const questions: readonly [program: string, ...args: string[]][] = [
  ['dpkg-query', '--show', 'redislabs'],
  ['rpm', '--query', '--queryformat', '%{VERSION}-%{RELEASE}', 'redislabs'],
];

/**
 * The version of RS that is installed on this host, such as `7.22.2-170`: a host that is no node yet has nobody else to say it.
 * @throws RlnetError OUTPUT_UNREADABLE where neither packager knows it; what Exec throws
 */
export async function installedRsVersion(exec: Pick<Exec, 'run'>): Promise<string> {
  for (const [program, ...args] of questions) {
    try {
      const { exitCode, stdout } = await exec.run(program, args, { timeoutMs });
      // Debian's packages have the release of the system after it: 7.22.2-170~jammy.
      const [version] = /(?<=^|\s)\d+\.\d+\.\d+-\d+/.exec(stdout) ?? [];
      if (exitCode === 0 && version !== undefined) return version;
    } catch (thrown) {
      if (!(thrown instanceof RlnetError) || thrown.code !== 'COMMAND_NOT_FOUND') throw thrown;
    }
  }
  throw new RlnetError(
    'OUTPUT_UNREADABLE',
    'Neither dpkg nor rpm knows a package redislabs with a version.',
    'Install RS from its package.',
  );
}
