import { RlnetError } from '../protocol/errors.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import type { Surroundings } from './ports/surroundings.ts';

const timeoutMs = 10_000;
/** A host with a container platform can have tens of thousands of rules. */
const maxRuleBytes = 16 * 2 ** 20;
const dmi = '/sys/class/dmi/id';

export function createSurroundings(
  exec: Pick<Exec, 'run'>,
  files: Pick<Files, 'readIfExists'>,
): Surroundings {
  const run = async (file: string, args: readonly string[], maxBytes?: number): Promise<string> => {
    const options = { timeoutMs, ...(maxBytes === undefined ? {} : { maxBytes }) };
    const result = await exec.run(file, args, options);
    if (result.exitCode === 0) return result.stdout;
    throw commandFailed(`${file} ${args.join(' ')}`, result, 'Run it by hand and see what it says.');
  };
  const rulesOf = async (
    tool: string,
    args: readonly string[],
  ): Promise<{ tool: string; lines: string[] }[]> => {
    try {
      return [{ tool, lines: (await run(tool, args, maxRuleBytes)).split('\n') }];
    } catch (thrown) {
      if (thrown instanceof RlnetError && thrown.code === 'COMMAND_NOT_FOUND') return [];
      throw thrown;
    }
  };
  return {
    freeBytes: async (path) => parseFree(await run('df', ['--block-size=1', '--output=avail', path]), path),
    clockSynchronised: async () => {
      const said = (await run('timedatectl', ['show', '--property=NTPSynchronized', '--value'])).trim();
      if (said === 'yes' || said === 'no') return said === 'yes';
      throw unreadable('timedatectl show --property=NTPSynchronized', said);
    },
    vendor: async () => {
      const named = await Promise.all(
        ['sys_vendor', 'product_name'].map((name) => files.readIfExists(`${dmi}/${name}`)),
      );
      const words = named.flatMap((text) => text?.trim() || []);
      return words.length === 0 ? undefined : words.join(' ');
    },
    firewallRules: async () => {
      const nft = await rulesOf('nft', ['list', 'ruleset']);
      if (nft.length > 0) return nft;
      return (await Promise.all(['iptables-save', 'ip6tables-save'].map((tool) => rulesOf(tool, [])))).flat();
    },
  };
}

function parseFree(text: string, path: string): number {
  const last = text.trim().split('\n').at(-1)?.trim() ?? '';
  if (/^\d+$/.test(last)) return Number(last);
  throw unreadable(`df ${path}`, text);
}

function unreadable(command: string, said: string): RlnetError {
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `${command} said ${JSON.stringify(said.slice(0, 80))}.`,
    'Run it by hand and see what it says.',
  );
}
