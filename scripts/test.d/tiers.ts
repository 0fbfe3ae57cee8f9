import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** A tier of docs/testing.md: a project of vitest.config.ts with its tests in `test/NAME/`. */
export type Tier = {
  readonly name: string;
  /** A sampled run that takes longer is stopped; a full one has eight times as long. */
  readonly limitMinutes: number;
  /** For a tier of which a slow machine runs less: in a sampled run no file begins later than that. Its `alone` files come first. */
  readonly beginMinutes?: number;
  /**
   * For a tier whose files wait for most of their time, and do not meet: two at a time, but for these, which measure how long things
   * take and have the machine for themselves. Without it the files run as vitest.config.ts has it.
   */
  readonly alone?: readonly string[];
  /** Why it cannot run here; `undefined` if it can. */
  readonly hindrance: () => string | undefined;
};

const noHindrance = (): undefined => undefined;

export const tiers: readonly Tier[] = [
  { name: 'unit', limitMinutes: 8, hindrance: noHindrance },
  { name: 'sim', limitMinutes: 8, hindrance: noHindrance },
  {
    name: 'host',
    limitMinutes: 8,
    alone: ['test/host/wire.test.ts'],
    hindrance: () =>
      needsRoot() ?? tries('network namespaces', ['unshare', '--net', 'ip', 'link', 'show', 'lo']),
  },
  {
    name: 'lab',
    limitMinutes: 20,
    beginMinutes: 11,
    alone: [
      'test/lab/agents.test.ts',
      'test/lab/demo.test.ts',
      'test/lab/health.test.ts',
      'test/lab/mesh.test.ts',
    ],
    hindrance: () =>
      needsRoot() ??
      tries('bridges, veth and overlay mounts', ['unshare', '--mount', '--net', 'sh', '-ec', parts]) ??
      tries('systemd-nspawn', ['systemd-nspawn', '-D', '/', '--volatile=yes', ...nspawnOptions, 'true']),
  },
];

/** The runs of vitest that a tier is made of, each as its arguments; `files` are all of its test files. */
export function runsOf({ name, alone }: Tier, files: readonly string[]): string[][] {
  const project = ['run', '--project', name];
  if (alone === undefined) return [project];
  const together = files.filter((file) => !alone.includes(file));
  const atATime = [`--maxWorkers=${Math.min(2, availableParallelism())}`, '--fileParallelism'];
  return [
    [...project, ...files.filter((file) => alone.includes(file))],
    [...project, ...atATime, ...together],
  ].filter((run) => run.some((argument) => files.includes(argument)));
}

/** What the lab is made of, in namespaces that end with the shell. */
const parts = `
  mount -t tmpfs tmpfs /mnt
  cd /mnt
  mkdir lower upper work merged
  mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
  ip link add probe0 type bridge
  ip link add probe1 type veth peer name probe2
  nft list tables
`;

const nspawnOptions = [
  `--machine=rlnet-probe-${process.pid}`,
  '--register=no',
  '--keep-unit',
  '--private-network',
  '--pipe',
];

function needsRoot(): string | undefined {
  return process.geteuid?.() === 0 ? undefined : 'needs root';
}

/** Whether the machine allows a thing shows only by doing it: containers take away what root could do. */
function tries(what: string, [file = '', ...args]: readonly string[]): string | undefined {
  const { status, error, stderr } = spawnSync(file, args, {
    encoding: 'utf8',
    timeout: 20_000,
    stdio: 'pipe',
  });
  if (status === 0) return undefined;
  const said = error?.message ?? stderr.trim().split('\n').at(-1);
  return `no ${what} here${said ? ` (${said})` : ''}`;
}
