import { holdersOf } from '../interfaces.ts';
import { judgeUnit } from '../unit.ts';
import { fail, type Guard, guard, pass, unclear } from './guard.ts';

/** For the journal, the back-ups, and the files of the network's owner beside the old ones; all of them are far smaller. Bytes. */
const wantedBytes = 32 * 2 ** 20;
/** The certificate outlasts a renumbering by so much, so that also a person has time to look. Seconds. */
const certificateMarginSeconds = 24 * 3600;
/** RS's default of `slave_ha_grace_period`, seconds (RS/databases/configure/replica-ha). */
const defaultGraceSeconds = 600;
/** Makers of virtual machines whose networks drop what comes from an address that was not given to the machine. */
const clouds =
  /amazon|google|microsoft|alibaba|oracle ?cloud|openstack|digitalocean|hetzner|scaleway|ovh|upcloud|vultr|akamai|linode/i;

/** This host, and its agent. */
export const hostGuards: readonly Guard[] = [
  guard({
    code: 'MODE_OBSERVE',
    severity: 'refuses',
    title: 'the agent of this host may change things',
    why: 'An agent in mode observe looks and reports.',
    remedy: 'Set mode: manage in /etc/rlnet/agent.yaml and restart the agent.',
    needs: ['mode'],
    judge: (_move, { mode }) =>
      mode === 'manage' ? pass('mode: manage.') : fail('The agent of this host observes (mode: observe).'),
  }),
  guard({
    code: 'UNIT_UNFIT',
    severity: 'refuses',
    title: 'the unit of RS stays away when it is disabled, and comes back when it is enabled',
    why: 'RS must not start at the old address after the restart, and must start with the host once all is done.',
    remedy: 'docs/troubleshooting.md has each state of the unit with what to do.',
    needs: ['unit'],
    judge: (_move, { unit }) => {
      const against = judgeUnit(unit);
      return against.length === 0
        ? pass(`${unit.unit} is ${unit.unitFileState}.`)
        : fail(
            against.map(({ code, message }) => `${code}: ${message}`).join(' '),
            against.map(({ remedy }) => remedy).join(' '),
          );
    },
  }),
  guard({
    code: 'AGENT_NOT_ENABLED',
    severity: 'refuses',
    title: 'the agent starts with the host',
    why: 'After the restart it is the agent that goes on; without it the dead man brings the node back at the old address.',
    remedy: 'systemctl enable rlnet',
    needs: ['agentUnit'],
    judge: (_move, { agentUnit: { unit, unitFileState } }) =>
      unitFileState === 'enabled'
        ? pass(`${unit} is enabled.`)
        : fail(`${unit} is ${unitFileState === '' ? 'without a unit file' : unitFileState}.`),
  }),
  guard({
    code: 'OWNER_UNFIT',
    severity: 'refuses',
    title: 'exactly one owner configures the interface, and rlnet can edit what it owns',
    why: 'Two owners undo each other; an owner that is not told brings the old address back with the next boot.',
    remedy: 'docs/address-change.md says what is done for each owner.',
    needs: ['owner', 'kind'],
    judge: (_move, { owner, kind }) => {
      if (kind === 'already_bound') return pass('No configuration is changed.');
      return owner.is === 'refused'
        ? fail(`${owner.reason.code}: ${owner.reason.message}`, owner.reason.remedy)
        : pass(`${owner.kind} owns it.`);
    },
  }),
  guard({
    code: 'BOUND_FOR_NOW',
    severity: 'refuses',
    title: 'a new address that is bound already is in the files of its owner',
    why: 'Else it is gone with the restart, and RS has nothing to bind to.',
    remedy: 'Put it into the configuration of the network for good, or choose an address that rlnet sets.',
    needs: ['owner', 'kind'],
    judge: ({ to: { address } }, { owner, kind }) => {
      if (kind !== 'already_bound') return pass(`${address} is not bound yet.`);
      if (owner.is === 'refused') return unclear(`Who sets ${address} is not known: ${owner.reason.message}`);
      if (owner.hasNew) return pass(`${owner.kind} sets ${address}.`);
      return fail(`No file of ${owner.kind} sets ${address}.`);
    },
  }),
  guard({
    code: 'ADDRESS_LEASED',
    severity: 'refuses',
    title: 'the current address is not leased by DHCP or made from a router advertisement',
    why: 'The lease would bring it back, and another host could be given it.',
    remedy: 'Give the interface a static configuration first.',
    needs: ['change', 'kind', 'interfaces'],
    judge: (_move, { change: { from }, kind, interfaces }) => {
      const leased = holdersOf(interfaces, from.address).find(({ bound }) => bound.flags.includes('dynamic'));
      if (leased === undefined) return pass(`${from.address} is permanent.`);
      return kind === 'already_bound'
        ? pass(`${from.address} is leased, and stays as it is.`)
        : fail(`${from.address} on ${leased.link.name} is leased (dynamic).`);
    },
  }),
  guard({
    code: 'CLOUD_ADDRESS',
    severity: 'warns',
    title: 'the machine is not one of a cloud that hands out its addresses itself',
    why: 'There an address works only once the provider has assigned it to the network card. The rehearsal finds out, except for a cut-over.',
    remedy:
      'Assign the address to the network card with the provider first, and choose the owner hook where its own tools set it.',
    needs: ['vendor', 'owner', 'kind'],
    judge: ({ to: { address } }, { vendor, owner, kind }) => {
      const cloud = vendor !== undefined && clouds.test(vendor);
      if (!cloud)
        return pass(
          vendor === undefined
            ? 'The machine has no firmware that names its maker.'
            : `The machine is made by ${vendor}.`,
        );
      if (kind === 'already_bound' || (owner.is === 'found' && owner.kind === 'hook'))
        return pass(`${vendor}, and the address is not set by rlnet.`);
      return fail(`The machine is made by ${vendor}, whose network may drop what comes from ${address}.`);
    },
  }),
  guard({
    code: 'DISK_FULL',
    severity: 'refuses',
    title: `there are ${wantedBytes / 2 ** 20} MiB to write journal, back-ups and configuration to`,
    why: 'What cannot be written down is not done, and a way back must never wait for room.',
    remedy: 'Make room there.',
    needs: ['freeBytes'],
    judge: (_move, { freeBytes }) => {
      const short = freeBytes.filter(({ bytes }) => bytes < wantedBytes);
      if (freeBytes.length === 0) return unclear('No directory was looked at.');
      return short.length === 0
        ? pass(`${freeBytes.map(({ path }) => path).join(' and ')} have room.`)
        : fail(
            short.map(({ path, bytes }) => `${path} has ${Math.floor(bytes / 2 ** 20)} MiB left.`).join(' '),
          );
    },
  }),
  guard({
    code: 'HOSTS_LOCALHOST_IPV6_MISSING',
    severity: 'refuses',
    title: '/etc/hosts maps ::1 to localhost',
    why: 'RS does not come up without it, on IPv4 clusters neither.',
    remedy: 'rlnet check --fix on this host, or add the line "::1 localhost".',
    needs: ['hostsFile'],
    judge: (_move, { hostsFile: { localhostIpv6, evidence } }) => {
      if (localhostIpv6 === 'unknown') return unclear(`/etc/hosts could not be read: ${evidence}.`);
      return localhostIpv6 === 'present'
        ? pass(`/etc/hosts: ${evidence}`)
        : fail(`/etc/hosts has no such line: ${evidence}`);
    },
  }),
  guard({
    code: 'CLOCK_NOT_SYNCHRONISED',
    severity: 'warns',
    title: 'a time source keeps the clock of this host',
    why: 'No step goes by the wall clock, but certificates do, and a clock that jumps at the boot can make them invalid.',
    remedy: 'timedatectl shows the time source; chronyd or systemd-timesyncd should run.',
    needs: ['clockSynchronised'],
    judge: (_move, { clockSynchronised }) =>
      clockSynchronised ? pass('NTPSynchronized=yes.') : fail('timedatectl says NTPSynchronized=no.'),
  }),
  guard({
    code: 'CERTIFICATE_ENDS',
    severity: 'refuses',
    title: 'the mesh certificate of this host lasts for the renumbering, at its slowest, and a day more',
    why: 'Without it no peer talks to this host, and none tells RS an address, the new or the old one.',
    remedy: 'rlnet tls create-host makes a new one; the agent takes it up by itself.',
    needs: ['certificate', 'estimate'],
    judge: (_move, { certificate: { notAfter, now }, estimate: { worst } }) => {
      const seconds = (notAfter - now) / 1000;
      if (Number.isNaN(seconds)) return unclear('When the certificate ends cannot be read.');
      const days = (seconds / 86_400).toFixed(1);
      return seconds > worst + certificateMarginSeconds
        ? pass(`It lasts ${days} days.`)
        : fail(`It lasts ${days} days.`);
    },
  }),
  guard({
    code: 'REPLICA_HA_GRACE',
    severity: 'warns',
    title: 'the node is likely to be back before RS replaces its replicas',
    why: 'Where replica HA is on, RS makes new copies on the other nodes after slave_ha_grace_period, which costs them memory and traffic.',
    remedy: 'Make it longer for the time being, as the command says.',
    needs: ['estimate', 'replicaHaGraceSeconds'],
    judge: (_move, { estimate: { usual, worst }, replicaHaGraceSeconds }) => {
      const grace = replicaHaGraceSeconds ?? defaultGraceSeconds;
      const from =
        replicaHaGraceSeconds === undefined ? " (RS's default; rladmin info cluster does not show it)" : '';
      const command = `rladmin tune cluster slave_ha_grace_period ${Math.ceil(worst / 60) * 60}, and afterwards ${grace}.`;
      if (usual > grace) return fail(`It takes about ${usual} s, and RS waits ${grace} s${from}.`, command);
      return worst > grace
        ? fail(
            `It takes about ${usual} s; with every wait up to its bound it is ${worst} s, and RS waits ${grace} s${from}.`,
            command,
          )
        : pass(`At most ${worst} s, and RS waits ${grace} s${from}.`);
    },
  }),
];
