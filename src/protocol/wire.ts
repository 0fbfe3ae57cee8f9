import * as v from 'valibot';
import { type Address, familyOf, isWithin } from './address.ts';
import { isActive, type NetworkInterface } from './interfaces.ts';
import { addressSchema, finiteSchema, nameSchema } from './schema.ts';

/** A link-layer address in lower case, as iproute2 prints it: 6 bytes for Ethernet, 20 for InfiniBand. */
export const macSchema = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){1,31}$/, 'Invalid link-layer address'),
);

/** More owners of one address than anybody will ever look at. */
export const maxOwners = 16;
/** Nor does a host have more interfaces in one subnet. */
const maxAsked = 64;

/**
 * What came of asking the wire who has an address. `silent` means that every question left the host and that nobody answered in
 * time; whatever is less than that is `unknown`, with the reason, and must never be taken for a free address.
 */
export const wireAnswerSchema = v.variant('outcome', [
  v.object({
    outcome: v.literal('answered'),
    owners: v.pipe(v.array(macSchema), v.minLength(1), v.maxLength(maxOwners)),
  }),
  v.object({ outcome: v.literal('silent'), probes: finiteSchema }),
  v.object({ outcome: v.literal('unknown'), why: v.string() }),
]);
export type WireAnswer = v.InferOutput<typeof wireAnswerSchema>;

/** What one host says of one address. */
export const wireReportSchema = v.object({
  host: nameSchema,
  /** Interfaces of that host that have the address itself. It never hears its own answer, so this stands beside the others. */
  bound: v.pipe(v.array(v.string()), v.maxLength(maxAsked)),
  /** Each of its interfaces whose subnet has the address, with what it heard. Empty: the address is not on-link there. */
  asked: v.pipe(
    v.array(v.object({ interface: v.string(), answer: wireAnswerSchema })),
    v.maxLength(maxAsked),
  ),
});
export type WireReport = v.InferOutput<typeof wireReportSchema>;

/** One entry of a host's neighbour tables (ARP and NDP). */
export const neighbourSchema = v.object({
  address: addressSchema,
  interface: v.string(),
  /** Absent while nobody has answered. */
  mac: v.optional(macSchema),
  /** The kernel's words (ip-neighbour(8)): `REACHABLE`, `STALE`, `INCOMPLETE`, `FAILED`, `PERMANENT` … */
  states: v.array(v.string()),
});
export type Neighbour = v.InferOutput<typeof neighbourSchema>;

/** One address is in the tables once an interface: as many as a host asks on. */
export const maxNeighbours = maxAsked;

/** Whether no question and no answer can change the entry: a person or a program has put it there. */
export function isStatic({ states }: Neighbour): boolean {
  return states.includes('PERMANENT') || states.includes('NOARP');
}

/** Where the host can ask for an address: the active interfaces with a subnet that has it; where none is active, the others. */
export function onLinkInterfaces(links: readonly NetworkInterface[], address: Address): NetworkInterface[] {
  const longest = familyOf(address) === 'ipv4' ? 32 : 128;
  const near = links.filter(
    ({ flags, addresses }) =>
      !flags.includes('LOOPBACK') &&
      addresses.some((bound) => bound.prefixLength < longest && isWithin(address, bound)),
  );
  const active = near.filter(isActive);
  return active.length > 0 ? active : near;
}

/**
 * The owners that are not a card of this host. A Linux host answers for all of its addresses on all of its cards
 * (`arp_ignore` 0), so its own second card on the same segment answers too.
 */
export function foreignOwners(owners: readonly string[], own: readonly NetworkInterface[]): string[] {
  return owners.filter((owner) => !own.some(({ mac }) => mac === owner));
}

export type DuplicateVerdict =
  | { verdict: 'free'; askedBy: string[] }
  | { verdict: 'taken'; evidence: string[] }
  | { verdict: 'unknown'; evidence: string[] };

/**
 * Whether a host may have the address: what it and its peers heard, put together. One foreign owner is enough for `taken`; `free` needs an
 * answer from every interface that was to ask, and at least one of them.
 *
 * @param host the host that is to have it, whose own binding and cards do not count
 * @param own  its interfaces, all of them
 */
export function judgeDuplicates(
  host: string,
  own: readonly NetworkInterface[],
  reports: readonly WireReport[],
): DuplicateVerdict {
  const taken: string[] = [];
  const unknown: string[] = [];
  const askedBy: string[] = [];
  for (const report of reports) {
    if (report.host !== host) taken.push(...report.bound.map((name) => `${report.host} has it on ${name}`));
    for (const { interface: name, answer } of report.asked) {
      const asker = `${report.host} ${name}`;
      if (answer.outcome === 'unknown') unknown.push(`${asker}: ${answer.why}`);
      else askedBy.push(asker);
      if (answer.outcome !== 'answered') continue;
      taken.push(...foreignOwners(answer.owners, own).map((mac) => `${mac} answered ${asker}`));
    }
  }
  if (taken.length > 0) return { verdict: 'taken', evidence: taken };
  if (unknown.length > 0) return { verdict: 'unknown', evidence: unknown };
  if (askedBy.length === 0)
    return { verdict: 'unknown', evidence: ['it is on-link on no host that was asked'] };
  return { verdict: 'free', askedBy };
}
