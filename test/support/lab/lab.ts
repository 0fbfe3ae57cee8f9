import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, open, readdir, readFile, readlink, rename, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  type Address,
  type Family,
  familyOf,
  type InterfaceAddress,
  tryParseAddress,
} from '../../../src/protocol/address.ts';
import { errnoOf, RlnetError } from '../../../src/protocol/errors.ts';
import { type HostFile, networkFiles, unitOf } from './owners.ts';
import { type HostPlan, type HostSpec, hostsFile, type Network, networks, planHosts } from './plan.ts';
import { rootFileSystem } from './root-fs.ts';
import {
  type ExecOptions,
  type ExecResult,
  isAlive,
  killGroup,
  killIfThere,
  type ProcessId,
  processById,
  run,
  runOk,
  systemPath,
  waitFor,
} from './run.ts';
import { softwareLayer, standinBinds } from './software.ts';

/** One folder a lab: state.json and the hosts' console logs. The lab's keeper removes it at the end. */
const runFolder = '/run/rlnet-lab';
const keeperScript = join(import.meta.dirname, 'keeper.sh');
const hostScript = join(import.meta.dirname, 'host.sh');

/** A boot takes about 3 s; two cores with much else to do are given their time. */
const bootTimeoutMs = 120_000;

/** What `lab up` writes down for the commands that come after it. */
interface LabState {
  name: string;
  /** Outside: ends last and clears away. */
  keeper: ProcessId;
  /** PID 1 of the lab's PID namespace. Whatever ends it ends the lab. */
  init: ProcessId;
  rootFs: string;
  /** What the package of rlnet adds to it. */
  software: string;
  hosts: HostPlan[];
}

export interface UpOptions {
  /** Told what is going on, for a person who waits. */
  progress?: (line: string) => void;
  /** Aborting it takes down what is up so far and rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Whether the lab outlives this process. Without, it goes when this process does, however that ends. */
  detach?: boolean;
}

export interface BootOptions {
  /** Whether to wait for the planned addresses too, not for the boot alone. Yes unless told. */
  addresses?: boolean;
  /** Aborting it ends the waiting. */
  signal?: AbortSignal;
}

/** A command that runs on a host while the caller does something else. Leaving its scope kills it. */
export interface Running extends AsyncDisposable {
  /** Standard output, line by line. */
  lines: AsyncIterable<string>;
  /** The exit code as in `ExecResult`, once it has ended. */
  exited: Promise<number>;
  /** Kills it and waits for its end. */
  kill(): Promise<void>;
}

/**
 * Builds a lab and returns when every host has booted and all its addresses are in use. What fails or is aborted on
 * the way leaves nothing behind.
 *
 * @throws RlnetError NOT_PERMITTED without root, COMMAND_NOT_FOUND naming the apt package of a missing tool, USAGE
 *   when a lab of that name is up, COMMAND_FAILED or COMMAND_TIMEOUT when a host does not come up.
 */
export async function upLab(
  spec: { name: string; hosts: readonly HostSpec[] },
  options: UpOptions = {},
): Promise<Lab> {
  requireLabName(spec.name);
  requireRoot();
  requireTools();
  const { progress = () => {}, signal, detach = false } = options;
  const hosts = planHosts(spec.hosts);
  const rootFs = await rootFileSystem(
    () => progress('Building the root file system of the hosts, once; this takes about a minute.'),
    signal,
  );
  const software = await softwareLayer(
    rootFs,
    () => progress('Building and installing the package of this checkout.'),
    signal,
  );
  signal?.throwIfAborted();
  const { keeper, init, stdin } = await startKeeper(spec.name);
  const lab = new Lab({ name: spec.name, keeper, init, rootFs, software, hosts });
  const stop = new AbortController();
  const until = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  try {
    await writeState(lab.state);
    progress(`Booting ${hosts.map((host) => host.name).join(', ')}.`);
    await Promise.all(lab.hosts.map((host) => host.plugIn(hosts).then(() => host.start({ signal: until }))));
  } catch (thrown) {
    stop.abort(thrown);
    await lab.down();
    throw thrown;
  }
  if (detach) {
    stdin.end('stay\n');
    await new Promise((resolve) => stdin.once('close', resolve));
  }
  return lab;
}

/**
 * A lab that some `upLab` brought up.
 * @throws RlnetError NOT_PERMITTED without root, USAGE when there is no such lab.
 */
export async function attachLab(name: string): Promise<Lab> {
  requireLabName(name);
  requireRoot();
  const state = await readState(name);
  if (state === undefined || !(await isAlive(state.init))) {
    throw new RlnetError(
      'USAGE',
      `No lab named ${name} is up.`,
      `Bring it up with: scripts/lab up --name ${name}`,
    );
  }
  return new Lab(state);
}

/** Removes a lab, whatever is left of it. To remove one that is not there is no error. */
export async function downLab(name: string): Promise<void> {
  requireLabName(name);
  requireRoot();
  const state = await readState(name);
  if (state !== undefined) {
    // Its end is the end of every process, mount, link and network namespace of the lab.
    if (await isAlive(state.init)) killIfThere(state.init.pid);
    await waitFor('the keeper of the lab to clear away', { timeoutMs: 30_000 }, async () =>
      (await isAlive(state.keeper)) ? undefined : true,
    );
  }
  // For a lab whose keeper was killed too. Finds nothing to do otherwise.
  await runOk(['unshare', '--mount', 'sh', keeperScript, 'clear', name]);
}

export class Lab implements AsyncDisposable {
  readonly state: LabState;
  readonly hosts: readonly Host[];

  constructor(state: LabState) {
    this.state = state;
    this.hosts = state.hosts.map((plan) => new Host(state, plan));
  }

  get name(): string {
    return this.state.name;
  }

  /** @throws RlnetError USAGE for a name that no host has; `2` is understood as `n2`. */
  host(name: string): Host {
    const found = this.hosts.find((host) => host.name === name || host.name === `n${name}`);
    if (found !== undefined) return found;
    const names = this.hosts.map((host) => host.name).join(', ');
    throw new RlnetError('USAGE', `The lab has no host ${JSON.stringify(name)}.`, `Name one of ${names}.`);
  }

  /**
   * Makes the machine at the gateways' addresses a router of another internal network too, as when somebody sets up its VLAN: all
   * on the one segment, which is what a host with two internal networks sees.
   */
  async addInternalNetwork(gateway: InterfaceAddress): Promise<void> {
    const option = familyOf(gateway.address) === 'ipv6' ? ' nodad' : '';
    const forwarding =
      'net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.internal.send_redirects=0';
    const script = `sysctl -q -w ${forwarding}; ip addr replace ${gateway.address}/${gateway.prefixLength} dev internal${option}`;
    await runOk([...enterLab(this.state), 'sh', '-ec', script]);
  }

  down(): Promise<void> {
    return downLab(this.name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }
}

export class Host {
  readonly plan: HostPlan;
  readonly #lab: LabState;

  constructor(lab: LabState, plan: HostPlan) {
    this.#lab = lab;
    this.plan = plan;
  }

  get name(): string {
    return this.plan.name;
  }

  /** Its address on a network: the one that the lab gave it first, not what a test may have made of it since. */
  address(network: Network, family: Family): Address {
    const found = this.addresses(network).find((address) => familyOf(address) === family);
    if (found !== undefined) return found;
    throw new RlnetError(
      'USAGE',
      `${this.name} has no ${network} ${family} address.`,
      'Give it one in the plan.',
    );
  }

  addresses(network: Network): Address[] {
    return this.plan.interfaces
      .filter((card) => card.network === network)
      .flatMap((card) => card.addresses.map(({ address }) => address));
  }

  /** What its console showed since the lab came up, all boots. */
  consoleLog(): Promise<string> {
    return readFile(this.#consolePath, 'utf8');
  }

  #endOfConsole(): string {
    return readFileSync(this.#consolePath, 'utf8').trim().split('\n').slice(-8).join('\n');
  }

  get #consolePath(): string {
    return join(runFolder, this.#lab.name, `${this.name}.console.log`);
  }

  /** As the keeper sees it: the machine itself may have no cgroup v2 tree mounted. */
  get #cgroup(): string {
    return `/proc/${this.#lab.init.pid}/root/sys/fs/cgroup/rlnet-lab.${this.#lab.name}/${this.name}`;
  }

  get isOn(): boolean {
    return existsSync(this.#cgroup);
  }

  /**
   * Gives the host its disk: what the owner and the peers need on it. Once, before its first start.
   * The files are laid down by sh inside the lab, where the disk is mounted.
   */
  async plugIn(all: readonly HostPlan[]): Promise<void> {
    const files: HostFile[] = [
      { path: '/etc/hostname', text: `${this.name}\n`, mode: 0o644 },
      { path: '/etc/machine-id', text: `${randomBytes(16).toString('hex')}\n`, mode: 0o444 },
      { path: '/etc/hosts', text: hostsFile(this.plan, all), mode: 0o644 },
      ...networkFiles(this.plan),
    ];
    const folder = `/proc/${this.#lab.init.pid}/root/run/lab/${this.name}`;
    await mkdir(folder, { recursive: true });
    await runOk([
      ...enterLab(this.#lab),
      'mount',
      '-t',
      'tmpfs',
      '-o',
      'mode=0755',
      `rlnet-lab.${this.name}`,
      this.#disk,
    ]);
    await mkdir(join(folder, 'files'));
    await mkdir(join(folder, 'upper'), { mode: 0o755 });
    await Promise.all(files.map(({ text }, index) => writeFile(join(folder, 'files', String(index)), text)));
    const install = [
      'set -eu',
      'umask 022',
      'root=$1',
      `cd /run/lab/${this.name}/files`,
      ...files.map(({ path, mode }, index) => `install -D -m ${mode.toString(8)} ${index} "$root${path}"`),
      `chroot "$root" systemctl --quiet enable ${unitOf(this.plan)}`,
      '',
    ];
    await writeFile(join(folder, 'install.sh'), install.join('\n'));
    const cards = this.plan.interfaces.map((card) => `${card.network} ${card.name} ${card.mac}\n`);
    await writeFile(join(folder, 'cards'), cards.join(''));
  }

  /**
   * Powers the host on and waits until it has booted and its addresses are in use.
   * @throws RlnetError USAGE when it is on, COMMAND_FAILED with the end of its console log when it goes off again.
   */
  async start(options: BootOptions = {}): Promise<void> {
    const { signal } = options;
    if (this.isOn) throw new RlnetError('USAGE', `${this.name} is on already.`, 'There is nothing to start.');
    const argv = [
      ...enterLab(this.#lab),
      'sh',
      hostScript,
      this.#lab.name,
      this.name,
      this.plan.rlnet ? `${this.#lab.software}:${this.#lab.rootFs}` : this.#lab.rootFs,
      ...standinBinds(),
    ];
    const log = await open(this.#consolePath, 'a');
    let child: ChildProcess;
    try {
      child = spawn(argv[0] ?? '', argv.slice(1), {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { PATH: systemPath, LC_ALL: 'C' },
      });
    } finally {
      await log.close();
    }
    child.unref();
    const wentOff = new AbortController();
    child.once('error', (cause) => wentOff.abort(cause));
    child.once('exit', (code) =>
      wentOff.abort(
        new RlnetError(
          'COMMAND_FAILED',
          `${this.name} went off with status ${code} while it was to come up. Its console:\n${this.#endOfConsole()}`,
          'The lines above are the end of its console.',
        ),
      ),
    );
    await this.#up({
      ...options,
      signal: signal === undefined ? wentOff.signal : AbortSignal.any([signal, wentOff.signal]),
    });
  }

  /** Orderly reboot by the host's own systemd; returns when it is up again. */
  async reboot(options: BootOptions = {}): Promise<void> {
    const before = { leader: await this.#leader(), bootId: await this.bootId() };
    // The reboot may be quicker than the answer: its exit code says nothing.
    await this.exec(['systemctl', 'reboot']);
    // Not a command runs there until the old PID 1 is gone: it waits up to 10 s for one that is not its descendant.
    await waitFor(`${this.name} to go down`, { timeoutMs: bootTimeoutMs }, async () => {
      const leader = await this.#leader();
      return leader !== undefined && leader !== before.leader ? true : undefined;
    });
    await waitFor(`${this.name} to boot anew`, { timeoutMs: bootTimeoutMs }, async () => {
      const now = await this.#attempt(['cat', bootIdPath]);
      return now !== undefined && now.trim() !== before.bootId ? true : undefined;
    });
    await this.#up(options);
  }

  /** Pulls the plug: every process ends at once and nothing is written any more. */
  async kill(): Promise<void> {
    await waitFor(`${this.name} to be off`, { timeoutMs: 10_000 }, async () => {
      // Again each time: a host in the middle of a reboot has a new PID 1 soon.
      const leader = await this.#leader();
      if (leader !== undefined) killIfThere(leader);
      return this.isOn ? undefined : true;
    });
  }

  /** From now on its disk is full, and what becomes free is used up at once. Files can be made, but hold nothing. */
  async fillDisk(): Promise<void> {
    // What is written between the two commands makes the second one fail.
    const script =
      'for i in 1 2 3 4 5; do mount -o "remount,size=$(($(df --output=used -k "$1" | tail -n 1)))k" "$1" && exit; done; exit 1';
    await runOk([...enterLab(this.#lab), 'sh', '-c', script, 'sh', this.#disk]);
    const filling = 'while :; do head -c 1M /dev/zero >>/var/filling; sleep 0.2; done';
    await this.execOk(['systemd-run', '--quiet', '--collect', '--unit=filling', 'sh', '-c', filling]);
  }

  /** There is room again. */
  async freeDisk(): Promise<void> {
    await runOk([...enterLab(this.#lab), 'mount', '-o', 'remount,size=50%', this.#disk]);
    const stop = ['sh', '-c', 'systemctl stop filling; rm -f /var/filling'];
    // It may be in the middle of a boot, which what fills it does not outlive.
    await waitFor(`${this.name} to be up`, { timeoutMs: bootTimeoutMs }, () => this.#attempt(stop));
  }

  /** Where its disk is mounted, as the lab's namespaces see it. */
  get #disk(): string {
    return `/run/lab/${this.name}`;
  }

  /** From now on packets from and to it vanish on that network, or on both. Carrier stays; nobody is told. */
  async cut(network?: Network): Promise<void> {
    await this.#ports('add', network === undefined ? networks : [network]);
  }

  async heal(network?: Network): Promise<void> {
    const cut = await this.cutNetworks();
    await this.#ports(
      'delete',
      cut.filter((one) => network === undefined || one === network),
    );
  }

  async cutNetworks(): Promise<Network[]> {
    const listed = await runOk([
      ...enterLab(this.#lab),
      'nft',
      '--json',
      'list',
      'set',
      'bridge',
      'lab',
      'cut',
    ]);
    return networks.filter((network) => listed.includes(`"${this.name}-${network}"`));
  }

  async #ports(change: 'add' | 'delete', which: readonly Network[]): Promise<void> {
    if (which.length === 0) return;
    const ports = which.map((network) => `"${this.name}-${network}"`).join(', ');
    await runOk([...enterLab(this.#lab), 'nft', change, 'element', 'bridge', 'lab', 'cut', `{ ${ports} }`]);
  }

  /**
   * Runs a command on the host, as root and with the capabilities that root has there.
   * @throws RlnetError USAGE when the host is off, COMMAND_TIMEOUT as `run`.
   */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return run(await this.enter(argv), options);
  }

  /** Like `exec`, for a command that has to succeed; gives its standard output. */
  async execOk(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    return runOk(await this.enter(argv), options);
  }

  /** Starts a command on the host whose output is wanted as it comes. */
  async spawn(argv: readonly string[]): Promise<Running> {
    const [command = '', ...args] = await this.enter(argv);
    // Not standard error: a shell on the way tells there that its child was killed, which is how these commands end.
    const child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const exited = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 137));
    });
    exited.catch(() => {});
    const kill = async () => {
      if (child.exitCode === null && child.signalCode === null) await killGroup(child);
      await exited;
    };
    const lines = createInterface({ input: child.stdout });
    return { lines, exited, kill, [Symbol.asyncDispose]: kill };
  }

  /**
   * The command line, on this machine, that runs `argv` on the host: in all its namespaces, with a clean environment
   * and without the capabilities that the host's own init lacks (a host that sets the clock would set everybody's).
   *
   * @throws RlnetError USAGE when the host is off.
   */
  async enter(argv: readonly string[]): Promise<string[]> {
    const leader = await this.#leader();
    if (leader === undefined) {
      throw new RlnetError(
        'USAGE',
        `${this.name} is off.`,
        `Power it on with: scripts/lab start ${this.name}`,
      );
    }
    return enterHost(leader, argv);
  }

  /** The output of a command on a host that may be off, or go off: then, or when it fails, there is none. */
  async #attempt(argv: readonly string[], options: ExecOptions = {}): Promise<string | undefined> {
    const leader = await this.#leader();
    if (leader === undefined) return undefined;
    const { exitCode, stdout } = await run(enterHost(leader, argv), options);
    return exitCode === 0 ? stdout : undefined;
  }

  async readFile(path: string): Promise<string> {
    return this.execOk(['cat', path]);
  }

  /** Writes a whole file on the host, in one rename; missing folders are made. */
  async writeFile(path: string, text: string, mode = 0o644): Promise<void> {
    const script =
      'set -e; install -d "$(dirname "$1")"; cat >"$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"';
    await this.execOk(['sh', '-c', script, 'sh', path, mode.toString(8)], { input: text });
  }

  /** Copies a file of this machine to the host, for what is no text or too long for `writeFile`. */
  async copyFile(from: string, path: string): Promise<void> {
    await copyFile(from, this.pathHere(path));
  }

  /** Where this process finds a file of the host's disk, also over its reboots. */
  pathHere(path: string): string {
    return `/proc/${this.#lab.init.pid}/root/run/lab/${this.name}/root${path}`;
  }

  async bootId(): Promise<string> {
    return (await this.readFile(bootIdPath)).trim();
  }

  /** The units that systemd calls failed. A host that has some is up all the same. */
  async failedUnits(): Promise<string[]> {
    const listed = await this.execOk(['systemctl', 'list-units', '--failed', '--plain', '--no-legend']);
    return listed.split('\n').flatMap((line) => line.trim().split(/\s+/)[0] || []);
  }

  /** The PIDs, as this machine sees them, of processes that the host knows by these. @throws RlnetError USAGE for one that it does not have */
  async outerPids(pids: readonly number[]): Promise<number[]> {
    const leader = await this.#leader();
    const namespace = leader === undefined ? '' : await readlink(`/proc/${leader}/ns/pid`);
    const found = new Map<number, number>();
    for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
      // Processes come and go meanwhile.
      if ((await readlink(`/proc/${name}/ns/pid`).catch(() => '')) !== namespace) continue;
      const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
      const inner = /^NSpid:.*\s(\d+)$/m.exec(status)?.[1];
      if (inner !== undefined) found.set(Number(inner), Number(name));
    }
    return pids.map((pid) => {
      const outer = found.get(pid);
      if (outer !== undefined) return outer;
      throw new RlnetError('USAGE', `${this.name} has no process ${pid}.`, 'Look at ps on that host.');
    });
  }

  /** PID, as this process sees it, of the host's PID 1. */
  async #leader(): Promise<number | undefined> {
    // In this order: systemd moves itself from the first to the second early in its boot.
    for (const place of ['payload', 'payload/init.scope']) {
      const listed = await readFile(join(this.#cgroup, place, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const pid of listed.split('\n').filter((line) => line !== '')) {
        const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
        if (/^NSpid:.*\s1$/m.test(status)) return Number(pid);
      }
    }
    return undefined;
  }

  /** Waits for the end of the boot, good or degraded, and then for the addresses. */
  async #up(options: BootOptions): Promise<void> {
    try {
      await this.#settled(options);
    } catch (thrown) {
      if (!(thrown instanceof RlnetError && thrown.code === 'COMMAND_TIMEOUT')) throw thrown;
      const state = this.isOn ? 'is on' : 'is off';
      throw new RlnetError(
        thrown.code,
        `${thrown.message} It ${state}; its console:\n${this.#endOfConsole()}`,
        'The lines above are the end of its console.',
        { cause: thrown },
      );
    }
  }

  async #settled({ addresses = true, signal }: BootOptions): Promise<void> {
    const abort = signal === undefined ? {} : { signal };
    await waitFor(`${this.name} to boot`, { timeoutMs: bootTimeoutMs, ...abort }, async () => {
      // Fails for a degraded system, which has booted all the same.
      const script = 'systemctl is-system-running --wait || true';
      const state = await this.#attempt(['sh', '-c', script], { timeoutMs: bootTimeoutMs, ...abort });
      return ['running', 'degraded'].includes(state?.trim() ?? '') ? true : undefined;
    });
    if (!addresses) return;
    const wanted = networks.flatMap((network) => this.addresses(network));
    await waitFor(`the addresses of ${this.name}`, { timeoutMs: 30_000, ...abort }, async () => {
      const inUse = addressesInUse((await this.#attempt(['ip', '-json', 'address', 'show'], abort)) ?? '[]');
      return wanted.every((address) => inUse.includes(address)) ? true : undefined;
    });
  }
}

const bootIdPath = '/proc/sys/kernel/random/boot_id';

/** What systemd-nspawn(1) does not leave to a host, with CAP_NET_ADMIN left to it. */
const foreignCapabilities = [
  'ipc_lock',
  'sys_module',
  'sys_rawio',
  'sys_pacct',
  'sys_time',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
];

/** The addresses in the output of `ip -json address` that are past duplicate address detection. */
function addressesInUse(json: string): Address[] {
  const links = JSON.parse(json) as {
    addr_info?: { local?: string; tentative?: true; dadfailed?: true }[];
  }[];
  return links
    .flatMap((link) => link.addr_info ?? [])
    .filter((info) => info.tentative !== true && info.dadfailed !== true)
    .flatMap((info) => tryParseAddress(info.local ?? '') ?? []);
}

/**
 * Runs a command on the host with that PID 1. It is sh that stays outside the PID namespace and waits, not nsenter: a
 * host that shuts down stops all its processes for a moment, nsenter would then stop itself for ever, and with a child
 * that nobody reaps the host could not end.
 */
function enterHost(leader: number, argv: readonly string[]): string[] {
  return [
    ...['nsenter', '--target', String(leader), '--all', '--no-fork', 'sh', '-c', '"$@"; exit $?', 'sh'],
    ...['setpriv', `--bounding-set=${foreignCapabilities.map((name) => `-${name}`).join()}`],
    ...['env', '-i', `PATH=${systemPath}`, 'LC_ALL=C', 'HOME=/root', 'TERM=xterm', ...argv],
  ];
}

/** Runs a command in the namespaces that the hosts' cards and disks are in. */
function enterLab(lab: LabState): string[] {
  return ['nsenter', '--target', String(lab.init.pid), '--mount', '--pid', '--net', '--uts', '--ipc'];
}

/**
 * Starts the keeper with its life line: as long as nobody has written `stay` into `stdin`, the lab ends with us.
 * @throws RlnetError USAGE when the name is taken, COMMAND_FAILED with what it said.
 */
async function startKeeper(name: string) {
  const child = spawn('unshare', ['--mount', '--propagation', 'slave', 'sh', keeperScript, 'hold', name], {
    detached: true,
    stdio: 'pipe',
    env: { PATH: systemPath, LC_ALL: 'C' },
  });
  child.unref();
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stdin.on('error', () => {});
  const first = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    const lines = createInterface({ input: child.stdout });
    lines.once('line', resolve);
    lines.once('close', () => resolve(''));
  });
  if (first === 'taken') {
    throw new RlnetError(
      'USAGE',
      `A lab named ${name} is up already.`,
      `End it with: scripts/lab down --name ${name}`,
    );
  }
  const init = await processById(Number(/^ready (\d+)$/.exec(first)?.[1]));
  const keeper = child.pid === undefined ? undefined : await processById(child.pid);
  if (init === undefined || keeper === undefined) {
    throw new RlnetError(
      'COMMAND_FAILED',
      `The namespaces of the lab could not be made: ${said.trim() || first || 'no reason given'}.`,
      'The lab needs a kernel with namespaces, overlayfs, bridge, veth and nftables.',
    );
  }
  // Nothing more comes, and what is open would keep this process waiting.
  child.stdout.destroy();
  child.stderr.destroy();
  return { keeper, init, stdin: child.stdin };
}

async function readState(name: string): Promise<LabState | undefined> {
  try {
    return JSON.parse(await readFile(join(runFolder, name, 'state.json'), 'utf8')) as LabState;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** In one rename: other commands may be looking. */
async function writeState(state: LabState): Promise<void> {
  const path = join(runFolder, state.name, 'state.json');
  await writeFile(`${path}.new`, JSON.stringify(state, null, 2));
  await rename(`${path}.new`, path);
}

function requireLabName(name: string): void {
  if (/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) return;
  throw new RlnetError(
    'USAGE',
    `${JSON.stringify(name)} is no name for a lab.`,
    'Use lower-case letters, digits and dashes.',
  );
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new RlnetError('NOT_PERMITTED', 'The lab needs root.', 'Run it with sudo.');
}

/** The tools that the lab is made of and the apt packages that bring them. */
const tools = {
  'systemd-nspawn': 'systemd-container',
  mmdebstrap: 'mmdebstrap',
  nft: 'nftables',
  ip: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  mountpoint: 'util-linux',
  flock: 'util-linux',
} as const;

function requireTools(): void {
  const missing = Object.entries(tools).filter(
    ([tool]) => !systemPath.split(delimiter).some((folder) => existsSync(join(folder, tool))),
  );
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
  throw new RlnetError(
    'COMMAND_NOT_FOUND',
    `The lab needs ${missing.map(([tool]) => tool).join(', ')}, which this machine lacks.`,
    `Install with: apt-get install ${packages}`,
  );
}
