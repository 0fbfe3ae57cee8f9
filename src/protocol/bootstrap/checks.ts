import { type Address, type Family, familyOf, parseAddress, tryParseAddress } from '../address.ts';
import {
  type Choice,
  chooseAddresses,
  judgeAddresses,
  unfitForOthers,
  type Wanted,
} from '../address-choice.ts';
import { asRlnetError } from '../errors.ts';
import {
  type Fact,
  fail,
  type GuardResult,
  type GuardSeverity,
  pass,
  unclear,
  type Verdict,
} from '../renumbering/guard.ts';
import { knowsInternalIpv6, mistakesForLoopback } from '../rs-builds.ts';
import { isRsPort } from '../rs-ports.ts';
import type { BootstrapAction, BootstrapFacts, PortReach, RsMember, Wish } from './facts.ts';

/** What the vendor says can fail with a `NodeBootstrapError`, or fails later and worse: asked before RS is. */
interface BootstrapCheck {
  /** Stable and append-only. */
  code: string;
  /** What is so where it passes. */
  title: string;
  severity: GuardSeverity;
  actions: readonly BootstrapAction[];
  remedy: string;
  judge: (wish: Wish, facts: BootstrapFacts) => Verdict;
}

/** RS refuses a join from this on; certificates and logs go by the clock too. Milliseconds. */
const clocksMayDifferMs = 5_000;
const both = ['create', 'join'] as const;

/** The internal family: of the cluster where it is joined, else the one that was asked for; undefined where the rules decide. */
export function wantedFamily(wish: Wish, { cluster }: Pick<BootstrapFacts, 'cluster'>): Family | undefined {
  if (wish.action === 'create') return wish.useInternalIpv6 ? 'ipv6' : undefined;
  return 'unknown' in cluster ? undefined : familyOfMembers(cluster.value);
}

/** The addresses that this node is to have, by the rules or as given; undefined where the host's own could not be read. */
export function chooseFor(wish: Wish, facts: BootstrapFacts): Choice | undefined {
  const { interfaces } = facts;
  const family = wantedFamily(wish, facts);
  if ('unknown' in interfaces || (wish.action === 'join' && family === undefined)) return undefined;
  const internal = wish.addr === undefined ? undefined : tryParseAddress(wish.addr);
  const wanted: Wanted = {
    ...(family === undefined ? {} : { useInternalIpv6: family === 'ipv6' }),
    ...(internal === undefined ? {} : { internal }),
    // What clients could not reach has a check of its own, which is not about the internal address.
    external: wish.external.flatMap((text) => {
      const address = tryParseAddress(text);
      return address === undefined || unfitForOthers(address) !== undefined ? [] : [address];
    }),
  };
  return chooseAddresses(interfaces.value, wanted);
}

/** Asks every check of the action: what one says keeps no other from being asked. */
export function runBootstrapChecks(wish: Wish, facts: BootstrapFacts): GuardResult[] {
  return bootstrapChecks
    .filter(({ actions }) => actions.includes(wish.action))
    .map(({ code, severity, remedy, judge }) => {
      const verdict = judge(wish, facts);
      const own = verdict.outcome === 'fail' ? verdict.remedy : undefined;
      const told = verdict.outcome === 'pass' ? '' : (own ?? remedy);
      return { code, severity, outcome: verdict.outcome, message: verdict.message, remedy: told };
    });
}

export const bootstrapChecks: readonly BootstrapCheck[] = [
  {
    code: 'NAME_INVALID',
    title: "the cluster's name is one that DNS takes",
    severity: 'refuses',
    actions: ['create'],
    remedy:
      'Choose a name of letters, digits and hyphens with dots between, 64 characters at most. It can never be changed.',
    judge: ({ name = '' }) =>
      /^(?=.{1,64}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(name)
        ? pass(`${name} is a host name (RFC 952, RFC 1123).`)
        : fail(`${JSON.stringify(name)} is no host name of at most 64 characters (RFC 952, RFC 1123).`),
  },
  {
    code: 'USERNAME_INVALID',
    title: 'the user name has no character that RS refuses',
    severity: 'refuses',
    actions: both,
    remedy: 'Choose another user name.',
    judge: ({ username }) =>
      username === '' || /[&<>"]/.test(username)
        ? fail('RS takes no user name that is empty or has one of & < > " in it.')
        : pass('It is one that RS takes.'),
  },
  {
    code: 'ADDRESS_NOT_HOST',
    title: 'every address that was given is the address of one host',
    severity: 'refuses',
    actions: both,
    remedy: 'Give addresses without a prefix length, such as 192.0.2.10 or 2001:db8::10.',
    judge: ({ addr, external, members }) => {
      const wrong = [...(addr === undefined ? [] : [addr]), ...external, ...members].flatMap(notHost);
      return wrong.length === 0 ? pass('They are.') : fail(wrong.join(' '));
    },
  },
  {
    code: 'EXTERNAL_ADDRESS_UNUSABLE',
    title: 'external addresses are such that clients can reach them',
    severity: 'refuses',
    actions: both,
    remedy: 'Give addresses that clients can reach; they need not be on an interface of this host.',
    judge: ({ external }) => {
      const wrong = external.flatMap((text) => {
        const address = tryParseAddress(text);
        const why = address === undefined ? undefined : unfitForOthers(address);
        return why === undefined ? [] : [`${address}: ${why}`];
      });
      return wrong.length === 0 ? pass('They are.') : fail(wrong.join(' '));
    },
  },
  {
    code: 'FAMILY_MISSING',
    title: "the host has an address of the cluster's internal family that a node could use",
    severity: 'refuses',
    actions: both,
    remedy: 'Give the host a permanent address of that family. The family of a cluster is for life.',
    judge: (wish, facts) => {
      const choice = chooseFor(wish, facts);
      if (choice === undefined) return unclear(whyNoChoice(wish, facts));
      if (choice.choice === 'none' && choice.reason === 'no_candidate') {
        const whose = wish.action === 'join' ? 'The cluster' : 'The cluster to be';
        const family = wantedFamily(wish, facts);
        return fail(`${family === undefined ? '' : `${whose} uses ${family} inside. `}${choice.sentence}`);
      }
      return pass('It has.');
    },
  },
  {
    code: 'ADDRESS_FAMILY_DIFFERS',
    title: 'the address that was given is of the internal family',
    severity: 'refuses',
    actions: both,
    remedy:
      'Give one of the other family; or, where a new cluster is to use IPv6 inside on a host that has both, --use-internal-ipv6.',
    judge: byChoice((reason) => reason === 'other_family'),
  },
  {
    code: 'ADDRESS_NOT_BOUND',
    title: 'the internal address is on an interface of this host',
    severity: 'refuses',
    actions: both,
    remedy:
      'Put it on an interface first, for good; rlnet interfaces shows what is there. Only external addresses may be elsewhere.',
    judge: byChoice((reason) => reason === 'not_bound'),
  },
  {
    code: 'ADDRESS_UNFIT',
    title: 'the internal address is one that a node can use for good',
    severity: 'refuses',
    actions: both,
    remedy: 'docs/commands.md has each word with what it means; choose another address.',
    judge: byChoice((reason) => !['no_candidate', 'other_family', 'not_bound'].includes(reason)),
  },
  {
    code: 'ADDRESS_AMBIGUOUS',
    title: 'it is clear which addresses are meant',
    severity: 'refuses',
    actions: both,
    remedy: 'Say which one: --addr for the internal address, --external for each external one.',
    judge: (wish, facts) => {
      const choice = chooseFor(wish, facts);
      if (choice === undefined) return unclear(whyNoChoice(wish, facts));
      return choice.choice === 'ambiguous'
        ? fail(`${choice.why} Candidates: ${choice.candidates.join(', ')}.`)
        : pass('It is.');
    },
  },
  {
    code: 'VERSION_TOO_OLD',
    title: 'RS on this host can use IPv6 inside, where that is wanted',
    severity: 'refuses',
    actions: both,
    remedy: 'Install RS 7.4.2 or newer: an older one would make a cluster over IPv4, and that for life.',
    judge: (wish, facts) => {
      if (familyFor(wish, facts) !== 'ipv6') return pass('IPv6 inside is not wanted.');
      return knowing(facts.version, (version) =>
        knowsInternalIpv6(version)
          ? pass(`It is ${version}.`)
          : fail(`It is ${version}, and internal IPv6 came with 7.4.2.`),
      );
    },
  },
  {
    code: 'VERSION_DIFFERS',
    title: 'RS has the version of the other nodes',
    severity: 'warns',
    actions: ['join'],
    remedy:
      'Install the version of the other nodes; RS may refuse the node otherwise (node_config_mismatch).',
    judge: (_wish, { version, cluster }) =>
      knowing(version, (own) =>
        knowing(cluster, (members) => {
          const other = members.find((member) => member.version !== undefined && member.version !== own);
          return other === undefined
            ? pass(`All have ${own}.`)
            : fail(`Node ${other.uid} has ${other.version ?? ''}, this host ${own}.`);
        }),
      ),
  },
  {
    code: 'RS188659',
    title: 'RS does not take the internal address for loopback',
    severity: 'refuses',
    actions: both,
    remedy: 'Choose an address without ::1 in its shortest text, such as 2001:db8::20, or upgrade RS first.',
    judge: (wish, facts) => {
      const choice = chooseFor(wish, facts);
      const address = choice?.choice === 'chosen' ? choice.internal : undefined;
      if (address?.includes('::1') !== true) return pass('There is no ::1 in it.');
      return knowing(facts.version, (version) =>
        mistakesForLoopback(version)
          ? fail(`RS ${version} takes ${address} for loopback, as there is ::1 in it.`)
          : pass(`RS ${version} has the fix.`),
      );
    },
  },
  {
    code: 'HOSTS_LOCALHOST_IPV6_MISSING',
    title: '/etc/hosts has "::1 localhost"',
    severity: 'refuses',
    actions: both,
    remedy: 'Run rlnet check --fix on this host, or add the line "::1 localhost" to its /etc/hosts.',
    judge: (_wish, { hostsFile }) =>
      knowing(hostsFile, ({ localhostIpv6, evidence }) =>
        localhostIpv6 === 'present'
          ? pass(`${evidence}.`)
          : localhostIpv6 === 'missing'
            ? fail(`${evidence}.`)
            : unclear(`${evidence}.`),
      ),
  },
  {
    code: 'CLOCK_NOT_SYNCHRONISED',
    title: "a time source keeps this host's clock",
    severity: 'warns',
    actions: both,
    remedy: 'Look after it: timedatectl. RS refuses a node whose clock differs (time_not_sync).',
    judge: (_wish, { clockSynchronised }) =>
      knowing(clockSynchronised, (is) => (is ? pass('One does.') : fail('None does, as timedatectl says.'))),
  },
  {
    code: 'CLOCK_DIFFERS',
    title: `this host's clock is within ${clocksMayDifferMs / 1000} s of the others'`,
    severity: 'refuses',
    actions: ['join'],
    remedy: 'Look after the time source of both: timedatectl. RS refuses it later (time_not_sync).',
    judge: (_wish, { mesh }) =>
      knowing(mesh, (about) => {
        if (about === 'none') return pass('Not asked: there are no agents.');
        const told = about.hosts.flatMap((each) => ('about' in each ? [each] : []));
        const far = told.filter(({ clockAheadMs }) => Math.abs(clockAheadMs) > clocksMayDifferMs);
        if (far.length > 0) {
          return fail(
            far
              .map(
                ({ host, clockAheadMs }) =>
                  `The clock of ${host} is ${Math.round(Math.abs(clockAheadMs) / 1000)} s ${clockAheadMs > 0 ? 'ahead' : 'behind'}.`,
              )
              .join(' '),
          );
        }
        return told.length === 0
          ? unclear('No agent of the cluster said what time it is.')
          : pass('They agree.');
      }),
  },
  {
    code: 'PORT_TAKEN',
    title: "no other program listens on RS's ports",
    severity: 'refuses',
    actions: both,
    remedy:
      'End that program or move it elsewhere. For port 53: DNSStubListener=no in /etc/systemd/resolved.conf, and mask dnsmasq.',
    judge: (_wish, { listeners }) =>
      knowing(listeners, (all) => {
        const taken = all.filter(({ protocol, port, ofRs }) => !ofRs && isRsPort(protocol, port));
        return taken.length === 0
          ? pass('None does.')
          : fail(
              `${taken.map(({ protocol, port, process, pid }) => `${protocol} ${port} (${process ?? 'a program that the kernel does not name'}${pid === undefined ? '' : `, process ${pid}`})`).join(', ')} ${taken.length === 1 ? 'is' : 'are'} taken.`,
            );
      }),
  },
  {
    code: 'OFFER_STALE',
    title: 'RS believes this host to have the addresses that it has',
    severity: 'warns',
    actions: both,
    remedy:
      'Nothing has to be done: rlnet gives RS every address itself. The setup page of RS would offer the wrong ones (RS125412).',
    judge: (_wish, { offer, interfaces }) =>
      knowing(offer, (offered) =>
        knowing(interfaces, (links) => {
          const held = new Set(links.flatMap(({ addresses }) => addresses.map(({ address }) => address)));
          const stale = offered.filter(({ address }) => !held.has(address));
          return stale.length === 0
            ? pass('It does.')
            : fail(
                `RS offers ${stale.map(({ address }) => address).join(', ')}, which this host does not have.`,
              );
        }),
      ),
  },
  {
    code: 'OFFER_BRIDGE',
    title: 'RS does not take the bridge of containers or virtual machines for a way to this host',
    severity: 'warns',
    actions: both,
    remedy:
      'Nothing has to be done: rlnet gives RS every address itself. RS by itself would take it as external (RS134742).',
    judge: (_wish, { offer, interfaces }) =>
      knowing(offer, (offered) =>
        knowing(interfaces, (links) => {
          const inside = new Set(
            judgeAddresses(links).flatMap(({ address, external }) =>
              address !== undefined &&
              !external.candidate &&
              ['docker', 'virbr', 'container_bridge'].includes(external.reason)
                ? [address]
                : [],
            ),
          );
          const bridged = offered.filter(({ address }) => inside.has(address));
          return bridged.length === 0
            ? pass('It does not.')
            : fail(
                `RS offers ${bridged.map(({ address }) => address).join(', ')}, which only this host can reach.`,
              );
        }),
      ),
  },
  {
    code: 'MEMBER_NOT_INTERNAL',
    title: 'the nodes that were named are named by their internal addresses',
    severity: 'refuses',
    actions: ['join'],
    remedy: 'Give the internal address; rladmin status nodes on a node of the cluster shows it as ADDRESS.',
    judge: ({ members }, { cluster }) =>
      knowing(cluster, (nodes) => {
        const wrong = members.flatMap((text) => {
          const address = tryParseAddress(text);
          if (address === undefined || nodes.some((node) => node.address === address)) return [];
          const holder = nodes.find(({ external }) => external.includes(address));
          return holder === undefined
            ? [`${address} is of no node.`]
            : [
                `${address} is an external address of node ${holder.uid}, whose internal one is ${holder.address}.`,
              ];
        });
        return wrong.length === 0 ? pass('They are.') : fail(wrong.join(' '));
      }),
  },
  {
    code: 'ADDRESS_OF_NODE',
    title: 'no node of the cluster has one of the addresses',
    severity: 'refuses',
    actions: ['join'],
    remedy: 'Choose other addresses; two nodes with one address take each other off the network.',
    judge: (wish, facts) => {
      const choice = chooseFor(wish, facts);
      const own: readonly Address[] =
        choice?.choice === 'chosen' ? [choice.internal, ...choice.external] : [];
      return knowing(facts.cluster, (nodes) => {
        const holders = nodes.flatMap((node) =>
          own
            .filter((address) => node.address === address || node.external.includes(address))
            .map((address) => `${address} is an address of node ${node.uid}.`),
        );
        return holders.length === 0 ? pass('None has.') : fail([...new Set(holders)].join(' '));
      });
    },
  },
  {
    code: 'NODE_DOWN',
    title: 'every node of the cluster is up',
    severity: 'refuses',
    actions: ['join'],
    remedy:
      'Bring it back first: RS takes a node that joins for the replacement of one that is down (repair_required).',
    judge: (_wish, { cluster }) =>
      knowing(cluster, (nodes) => {
        const away = nodes.filter(({ status }) => status !== 'active');
        return away.length === 0
          ? pass(`All ${nodes.length} are active.`)
          : fail(away.map(({ uid, status }) => `Node ${uid} is ${status}.`).join(' '));
      }),
  },
  {
    code: 'MEMBER_UNREACHABLE',
    title: 'the nodes that were named answer to connections from the internal address',
    severity: 'refuses',
    actions: ['join'],
    remedy: 'See what is between the two: routes, firewalls, the address itself.',
    judge: (_wish, { reach }) =>
      knowing(reach, (members) => {
        // RS listens there on every node; on the others somebody may not listen yet, and the kernel's refusal is an answer.
        const closed = members.flatMap(({ member, from, rest, ports }) =>
          pathsOf(`${member} from ${from}`, [
            ...(rest.outcome === 'refused' ? [rest] : []),
            ...[rest, ...ports].filter(({ outcome }) => outcome === 'unreachable'),
          ]),
        );
        const unknown = members.flatMap(({ member, from, rest, ports }) =>
          pathsOf(`${member} from ${from}`, [rest, ...ports].filter(isUnknown)),
        );
        if (closed.length > 0) return fail(closed.join(' '));
        return unknown.length > 0 ? unclear(unknown.join(' ')) : pass('They do.');
      }),
  },
  {
    code: 'UNREACHABLE_FROM_NODE',
    title: 'the nodes of the cluster get an answer from the internal address at the ports of RS',
    severity: 'refuses',
    actions: ['join'],
    remedy:
      'Open the ports of RS on this host, and on the way to it, for the other nodes (RS: networking, port configurations).',
    judge: (_wish, { reachedFrom }) =>
      knowing(reachedFrom, (hosts) => {
        if (hosts === 'none') return pass('Not asked: there are no agents.');
        const told = hosts.flatMap((each) => ('ports' in each ? [each] : []));
        const closed = told.flatMap(({ host, ports }) =>
          pathsOf(
            `From ${host}`,
            ports.filter(({ outcome }) => outcome === 'unreachable'),
          ),
        );
        if (closed.length > 0) return fail(closed.join(' '));
        const unknown = told.flatMap(({ host, ports }) => pathsOf(`From ${host}`, ports.filter(isUnknown)));
        const silent = hosts.flatMap((each) => ('unknown' in each ? [`${each.host}: ${each.unknown}`] : []));
        if (unknown.length > 0) return unclear(unknown.join(' '));
        return told.length === 0
          ? unclear(silent.join(' ') || 'No agent of a node is linked to the one of this host.')
          : pass(`${told.map(({ host }) => host).join(', ')} got one.`);
      }),
  },
  {
    code: 'RENUMBERING_OPEN',
    title: 'no renumbering is under way in the cluster',
    severity: 'refuses',
    actions: ['join'],
    remedy:
      'Wait until it has ended. Where the cluster has no rlnet agents, say --without-mesh; else start the agent of this host with mesh.seeds.',
    judge: (_wish, { mesh }) =>
      knowing(mesh, (about) => {
        if (about === 'none') return pass('There are no agents, as was said.');
        const open = about.hosts.flatMap((each) =>
          'about' in each ? each.about.openRenumberings.map((id) => `${each.host} knows of ${id}.`) : [],
        );
        if (open.length > 0) return fail(open.join(' '));
        const answered = about.hosts.filter((each) => 'about' in each).length;
        return answered === 0
          ? unclear('No agent of the cluster is linked to the one of this host.')
          : pass(`${answered} agents know of none.`);
      }),
  },
  {
    code: 'CLUSTER_EXISTS',
    title: 'the agents of this cluster know no nodes yet',
    severity: 'refuses',
    actions: ['create'],
    remedy: 'Join it: rlnet bootstrap join. A second cluster of the same agents is no use to anybody.',
    judge: (_wish, { mesh }) => {
      // An agent is not needed to make a cluster, and where there is none there is nobody to ask.
      if ('unknown' in mesh || mesh.value === 'none') return pass('No agent says otherwise.');
      const nodes = mesh.value.hosts.flatMap((each) =>
        'about' in each && (each.about.nodes ?? []).length > 0
          ? [
              `${each.host} is of a cluster with nodes ${(each.about.nodes ?? []).map(({ uid }) => uid).join(', ')}.`,
            ]
          : [],
      );
      return nodes.length === 0 ? pass('They know none.') : fail(nodes.join(' '));
    },
  },
];

function familyFor(wish: Wish, facts: BootstrapFacts): Family | undefined {
  const choice = chooseFor(wish, facts);
  return choice === undefined || choice.choice === 'none' ? wantedFamily(wish, facts) : choice.family;
}

/** All nodes of a cluster are of one family; undefined where they are not, which RS does not allow. */
function familyOfMembers(members: readonly RsMember[]): Family | undefined {
  const [family, ...others] = new Set(members.map(({ address }) => familyOf(address)));
  return others.length === 0 ? family : undefined;
}

function notHost(text: string): string[] {
  try {
    parseAddress(text);
    return [];
  } catch (thrown) {
    const { message } = asRlnetError(thrown);
    return /^[0-9a-f:.]+\/\d+$/i.test(text)
      ? [
          `${message} The example of the vendor's documentation, 2001:DB8::/32, is one too; RS wants the address of this one host.`,
        ]
      : [message];
  }
}

function byChoice(isIt: (reason: string) => boolean): BootstrapCheck['judge'] {
  return (wish, facts) => {
    const choice = chooseFor(wish, facts);
    if (choice === undefined) return unclear(whyNoChoice(wish, facts));
    return choice.choice === 'none' && isIt(choice.reason)
      ? fail(`${choice.reason}: ${choice.sentence}`)
      : pass('It is.');
  };
}

function whyNoChoice(wish: Wish, { interfaces, cluster }: BootstrapFacts): string {
  if ('unknown' in interfaces) return `${interfaces.unknown}.`;
  if (wish.action === 'join' && 'unknown' in cluster)
    return `The cluster's family is not known: ${cluster.unknown}.`;
  return 'The nodes of the cluster are of two families.';
}

const isUnknown = ({ outcome }: PortReach): boolean => outcome === 'unknown';

/** What became of connections to these ports, in a sentence; nothing where there are none. */
function pathsOf(path: string, ports: readonly PortReach[]): string[] {
  const [first] = ports;
  if (first === undefined) return [];
  const why = first.why === undefined ? '' : ` (${first.why.replace(/\.$/, '')})`;
  return [`${path}: TCP ${ports.map(({ port }) => port).join(', ')} ${first.outcome}${why}.`];
}

function knowing<T>(fact: Fact<T>, judge: (value: T) => Verdict): Verdict {
  return 'unknown' in fact ? unclear(`${fact.unknown}.`) : judge(fact.value);
}
