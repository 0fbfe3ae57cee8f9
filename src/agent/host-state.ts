import type { Finding } from '../protocol/finding.ts';
import { isActive, isRoutable, isUsable } from '../protocol/interfaces.ts';
import { fitsMessage } from '../protocol/messages.ts';
import { type HostState, maxAddressesInState } from '../protocol/state.ts';
import type { Facts } from './findings/check.ts';
import { internalFamily, known, type Observations, whyUnknown } from './observations.ts';
import { markOf } from './table-turns.ts';

/** What is true of this agent for as long as it runs. */
export interface AgentIdentity {
  cluster: string;
  host: string;
  version: string;
  mode: HostState['mode'];
}

/**
 * What this host says of itself now: a pure function of what was read.
 * @param findings what people must see
 * @param knows  the hosts that it is linked to
 * @param before the state said last; the revision grows only when something changed
 */
export function hostStateOf(
  identity: AgentIdentity,
  facts: Pick<Facts, 'observations' | 'internalAddress' | 'lock' | 'renumbering' | 'rollout'>,
  findings: readonly Finding[],
  knows: HostState['knows'],
  before: HostState | undefined,
): HostState {
  const { observations, internalAddress, lock, renumbering, rollout } = facts;
  const links = known(observations.interfaces) ?? [];
  const routable = links.flatMap((link) =>
    link.addresses
      .filter(({ address }) => isRoutable(address))
      .map((bound) => ({
        interface: link.name,
        address: bound.address,
        prefixLength: bound.prefixLength,
        usable: isActive(link) && isUsable(bound),
      })),
  );
  const nodeUid = known(observations.nodeUid);
  const family = internalFamily(observations, internalAddress);
  const table = known(observations.nodeTable);
  const whole: HostState = {
    host: identity.host,
    version: identity.version,
    mode: identity.mode,
    revision: before?.revision ?? 1,
    ...(nodeUid === undefined ? {} : { nodeUid }),
    ...(internalAddress === undefined ? {} : { internalAddress }),
    ...(family === undefined ? {} : { internalFamily: family }),
    ...(table === undefined ? {} : { rsTable: markOf(table) }),
    addresses: {
      listed: routable.slice(0, maxAddressesInState),
      more: Math.max(0, routable.length - maxAddressesInState),
    },
    unit: known(observations.unit) ?? { unknown: whyNoUnit(observations) },
    hostsFile: known(observations.hostsFile) ?? {
      localhostIpv6: 'unknown',
      evidence: whyUnknown(observations.hostsFile),
    },
    findings: [...findings],
    lock,
    ...(renumbering === undefined ? {} : { renumbering }),
    ...(rollout === undefined ? {} : { rollout }),
    knows,
  };
  const state = fitsMessage({ type: 'state', state: whole }) ? whole : shortened(whole);
  if (before === undefined || JSON.stringify(state) === JSON.stringify(before)) return state;
  return { ...state, revision: before.revision + 1 };
}

/** So much of each list and each text is left of a state that is too long for a message. */
const shortListed = 16;
const shortKnows = 32;
const shortText = 100;
/** Of which there can be fifty. */
const shortEvidence = 40;

/** Texts that programs printed can be long, and everything can be long at once. Better some of it than a state that nobody gets. */
function shortened(state: HostState): HostState {
  const short = (text: string): string => text.slice(0, shortText);
  const { addresses, unit, hostsFile, findings, renumbering } = state;
  const trouble = renumbering?.trouble;
  const listed = addresses.listed.slice(0, shortListed);
  return {
    ...state,
    addresses: { listed, more: addresses.more + addresses.listed.length - listed.length },
    unit: 'unknown' in unit ? { unknown: short(unit.unknown) } : unit,
    hostsFile: { ...hostsFile, evidence: short(hostsFile.evidence) },
    findings: findings.map((finding) => ({
      ...finding,
      evidence: finding.evidence.slice(0, shortEvidence),
    })),
    knows: state.knows.slice(0, shortKnows),
    ...(renumbering === undefined || trouble === undefined
      ? {}
      : {
          renumbering: {
            ...renumbering,
            trouble: { ...trouble, message: short(trouble.message), remedy: short(trouble.remedy) },
          },
        }),
  };
}

function whyNoUnit({ unit }: Observations): string {
  return unit !== undefined && 'value' in unit
    ? 'no unit rlec_supervisor or rlec_supervisord'
    : whyUnknown(unit);
}
