import { createClock } from '../../src/host/clock.ts';
import { createInterfaces } from '../../src/host/interfaces.ts';
import type { Exec, RunningProgram } from '../../src/host/ports/exec.ts';
import { type NetworkNamespace, openNetworkNamespace } from './netns.ts';

/** A host on a segment, with its cards `eth0`, `eth1` … */
export type SegmentHost = Omit<NetworkNamespace, keyof AsyncDisposable> & {
  /** A line of sh inside the namespace; anything but success is an error. */
  sh: (script: string) => Promise<string>;
  mac: (card: string) => Promise<string>;
};

export interface Segment extends AsyncDisposable {
  /** One more host with so many cards, all up and on the segment, without addresses but link-local ones that are usable at once. */
  host(cards?: number): Promise<SegmentHost>;
  /** Pulls the cable of a card, or puts it back: the host sees its carrier go. */
  plug(host: SegmentHost, card: string, state: 'up' | 'down'): Promise<void>;
  /** What passes on the segment from now on, a line a packet as tcpdump writes it, with MACs. `lines` grows; `stop` gives all that was sent before it. */
  watch(filter: string): Promise<{ readonly lines: readonly string[]; stop(): Promise<readonly string[]> }>;
}

/** One Ethernet segment: a bridge in a namespace of its own, with a namespace for each host. */
export async function openSegment(): Promise<Segment> {
  const stack = new AsyncDisposableStack();
  const bridge = stack.use(await openNetworkNamespace());
  await bridge.ip('link add segment type bridge\nlink set segment up');
  const ports = new Map<string, string>();

  return {
    host: async (cards = 1) => {
      const host = stack.use(await openNetworkNamespace());
      const sh = shellIn(host.exec);
      await sh('echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad');
      for (let card = 0; card < cards; card++) {
        const port = `port${ports.size}`;
        ports.set(`${host.pid} eth${card}`, port);
        await bridge.ip(`
          link add ${port} type veth peer name eth${card} netns ${host.pid}
          link set ${port} master segment up
        `);
        await host.ip(`link set eth${card} up`);
      }
      const mac = async (card: string) =>
        (await createInterfaces(host.exec, createClock()).read()).find(({ name }) => name === card)?.mac ??
        '';
      return { exec: host.exec, pid: host.pid, ip: host.ip, sh, mac };
    },
    plug: async (host, card, state) => bridge.ip(`link set ${ports.get(`${host.pid} ${card}`)} ${state}`),
    watch: async (filter) => {
      const lines: string[] = [];
      const listening = Promise.withResolvers<void>();
      let pid = '';
      // --immediate-mode: without it packets wait in a buffer for up to a second.
      const script = `tcpdump --immediate-mode -l -n -e -t -i segment '${filter}' 2>&1 & echo "pid $!"; wait`;
      const watcher: RunningProgram = bridge.exec.lines('sh', ['-c', script], (line) => {
        if (line.startsWith('pid ')) pid = line.slice('pid '.length);
        else if (line.includes('listening on')) listening.resolve();
        else lines.push(line);
      });
      await Promise.race([
        listening.promise,
        watcher.ended.then(({ reason }) => Promise.reject(new Error(reason))),
      ]);
      return {
        lines,
        stop: async () => {
          // By itself and not by its watcher, which would tell of no packet any more.
          await shellIn(bridge.exec)(`kill ${pid}`);
          await watcher.ended;
          return lines;
        },
      };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function shellIn(exec: Exec): (script: string) => Promise<string> {
  return async (script) => {
    const { exitCode, stdout, stderr } = await exec.run('sh', ['-ec', script], { timeoutMs: 30_000 });
    if (exitCode !== 0) throw new Error(`${script}: ${stderr}`);
    return stdout;
  };
}
