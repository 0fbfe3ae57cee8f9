import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { compareAddresses, type Family } from '../../../src/protocol/address.ts';
import { asRlnetError, RlnetError } from '../../../src/protocol/errors.ts';
import { attachLab, downLab, type Host, upLab } from './lab.ts';
import { type HostSpec, type Network, networks, type Owner, owners } from './plan.ts';

const usage = `Usage: scripts/lab COMMAND [--name LAB]

  up [--hosts 3] [CHOICES] [--host N:CHOICES]   build hosts n1, n2 … and wait until they are up
  down                    remove the lab
  status                  the hosts, their addresses and what is cut
  shell HOST              a root shell on a host
  exec HOST -- COMMAND    run one command on a host
  reboot HOST             systemctl reboot, and wait until it is up again
  kill HOST               power off at once, as when the plug is pulled
  start HOST              power on, with the disk as it was
  cut HOST [NETWORK]      drop all packets silently, on one network or on both
  heal HOST [NETWORK]     end that

CHOICES for all hosts: --owner, --internal, --external, --extra-internal, --extra-external, --localhost6
CHOICES of one host:   --host 2:owner=netplan,internal=ipv6,extra-internal=10.77.0.121/24
  owner      ${owners.join(', ')}
  internal, external               ipv4, ipv6, both or none
  extra-internal, extra-external   more addresses, ADDRESS/LENGTH, joined by +
  localhost6                       yes or no: whether /etc/hosts has ::1 localhost
`;

const choiceNames = [
  'owner',
  'internal',
  'external',
  'extra-internal',
  'extra-external',
  'localhost6',
] as const;
type ChoiceName = (typeof choiceNames)[number];

function refuse(message: string): never {
  throw new RlnetError('USAGE', message, 'See scripts/lab --help.');
}

function families(text: string): Family[] {
  switch (text) {
    case 'ipv4':
    case 'ipv6':
      return [text];
    case 'both':
      return ['ipv4', 'ipv6'];
    case 'none':
      return [];
    default:
      return refuse(`${JSON.stringify(text)} is not ipv4, ipv6, both or none.`);
  }
}

function choice(name: ChoiceName, value: string): HostSpec {
  switch (name) {
    case 'owner': {
      const owner = owners.find((one) => one.toLowerCase() === value.toLowerCase());
      return owner === undefined
        ? refuse(`${JSON.stringify(value)} is not one of ${owners.join(', ')}.`)
        : { owner: owner satisfies Owner };
    }
    case 'internal':
      return { internal: families(value) };
    case 'external':
      return { external: families(value) };
    case 'extra-internal':
      return { extraInternal: value.split('+') };
    case 'extra-external':
      return { extraExternal: value.split('+') };
    case 'localhost6':
      return {
        localhost6: value === 'yes' || (value === 'no' ? false : refuse('--localhost6 is yes or no.')),
      };
    default:
      return refuse(`${JSON.stringify(name satisfies never)} cannot be chosen.`);
  }
}

/** `2:owner=netplan,internal=ipv6` */
function hostChoices(text: string): { index: number; spec: HostSpec } {
  const colon = text.indexOf(':');
  const number = Number(text.slice(0, colon));
  if (colon < 1 || !Number.isInteger(number)) return refuse(`--host ${text} is not N:KEY=VALUE,….`);
  const specs = text
    .slice(colon + 1)
    .split(',')
    .map((pair) => {
      const name = choiceNames.find((one) => pair.startsWith(`${one}=`));
      if (name === undefined) return refuse(`--host ${text} has ${pair}, which is no choice.`);
      return choice(name, pair.slice(name.length + 1));
    });
  return { index: number - 1, spec: Object.assign({}, ...specs) as HostSpec };
}

function describe(host: Host): string {
  const addresses = networks
    .map((network) => `${network} ${host.addresses(network).toSorted(compareAddresses).join(' ') || 'none'}`)
    .join('  ');
  return `${host.name}  ${host.plan.owner}  ${addresses}`;
}

async function up(name: string, specs: readonly HostSpec[]): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () =>
      interrupted.abort(
        new RlnetError('COMMAND_FAILED', 'Interrupted; nothing is left of the lab.', 'Run it again.'),
      ),
    );
  }
  const begun = Date.now();
  const lab = await upLab(
    { name, hosts: specs },
    { detach: true, signal: interrupted.signal, progress: (line) => console.error(line) },
  );
  for (const host of lab.hosts) {
    const failed = await host.failedUnits();
    console.log(`${describe(host)}${failed.length === 0 ? '' : `  failed units: ${failed.join(' ')}`}`);
  }
  console.error(`Up after ${((Date.now() - begun) / 1000).toFixed(1)} s.`);
}

async function status(name: string): Promise<void> {
  const lab = await attachLab(name);
  for (const host of lab.hosts) {
    const cut = await host.cutNetworks();
    console.log(
      `${describe(host)}  ${host.isOn ? 'on' : 'off'}${cut.length === 0 ? '' : `  cut from ${cut.join(' ')}`}`,
    );
  }
}

/** Hands the terminal to a command on the host and ends as it ends. */
async function interact(host: Host, argv: readonly string[]): Promise<number> {
  const [command = '', ...args] = await host.enter(argv);
  // Ctrl-C is for the command.
  process.on('SIGINT', () => {});
  const child = spawn(command, args, { stdio: 'inherit' });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    tokens: true,
    options: {
      name: { type: 'string', default: 'lab' },
      hosts: { type: 'string', default: '3' },
      host: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
      owner: { type: 'string' },
      internal: { type: 'string' },
      external: { type: 'string' },
      'extra-internal': { type: 'string' },
      'extra-external': { type: 'string' },
      localhost6: { type: 'string' },
    },
  });
  const [command, hostName = '', ...rest] = positionals;
  if (values.help || command === undefined) {
    console.log(usage.trimEnd());
    return values.help ? 0 : 2;
  }
  const { name } = values;
  const host = async () => (await attachLab(name)).host(hostName);
  const network = (): Network | undefined => {
    const [word] = rest;
    return word === undefined
      ? undefined
      : (networks.find((one) => one === word) ?? refuse(`There is no network ${JSON.stringify(word)}.`));
  };
  switch (command) {
    case 'up': {
      const common = choiceNames.map((key) => (values[key] === undefined ? {} : choice(key, values[key])));
      const own = values.host.map(hostChoices);
      const count = Number(values.hosts);
      if (!Number.isInteger(count)) return refuse(`--hosts ${values.hosts} is not a number.`);
      const stray = own.find(({ index }) => index < 0 || index >= count);
      if (stray !== undefined) return refuse(`--host names host ${stray.index + 1}, and there are ${count}.`);
      const specs = Array.from(
        { length: count },
        (_, index): HostSpec =>
          Object.assign({}, ...common, ...own.filter((one) => one.index === index).map((one) => one.spec)),
      );
      await up(name, specs);
      return 0;
    }
    case 'down':
      await downLab(name);
      return 0;
    case 'status':
      await status(name);
      return 0;
    case 'shell':
      return await interact(await host(), ['/bin/bash', '--login']);
    case 'exec': {
      if (!tokens.some((token) => token.kind === 'option-terminator') || rest.length === 0) {
        return refuse('exec wants a host, -- and a command.');
      }
      return await interact(await host(), rest);
    }
    case 'reboot':
      await (await host()).reboot();
      return 0;
    case 'kill':
      await (await host()).kill();
      return 0;
    case 'start':
      await (await host()).start();
      return 0;
    case 'cut':
      await (await host()).cut(network());
      return 0;
    case 'heal':
      await (await host()).heal(network());
      return 0;
    default:
      return refuse(`There is no command ${JSON.stringify(command)}.`);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const usageError = thrown instanceof TypeError && 'code' in thrown;
  const error = usageError
    ? new RlnetError('USAGE', `${thrown.message}.`, 'See scripts/lab --help.')
    : asRlnetError(thrown);
  console.error(`${error.code}: ${error.message}\n${error.remedy}`);
  process.exitCode = error.exitStatus;
}
