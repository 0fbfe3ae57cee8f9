import * as v from 'valibot';
import { familyOf } from './address.ts';
import { addressSchema } from './schema.ts';

/** A network card, known by what a reboot does not change; its name is the one it had when it was looked at. */
export const linkIdentitySchema = v.object({
  name: v.string(),
  /** In lower case; absent where the link has none (tunnels). */
  mac: v.optional(v.string()),
  /** Where it is plugged in, as a path in sysfs; absent for virtual links. */
  path: v.optional(v.string()),
});
export type LinkIdentity = v.InferOutput<typeof linkIdentitySchema>;

/**
 * Whether a link is the card that is meant, whatever it is called by now. Two cards can have one MAC address (a virtual function and what it
 * stands in for), but not one place. What is not known of either does not tell them apart.
 */
export function isSameCard(meant: LinkIdentity, link: Pick<LinkIdentity, 'mac' | 'path'>): boolean {
  const { mac, path } = meant;
  if (mac !== undefined && link.mac !== mac) return false;
  return path === undefined || link.path === undefined || link.path === path;
}

/** An address as a host has it: with the prefix length of its network. */
export const hostAddressSchema = v.object({
  address: addressSchema,
  prefixLength: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)),
});
export type HostAddress = v.InferOutput<typeof hostAddressSchema>;

/**
 * One address of one network card replaced by another, with all that hangs on it: routes with that source or gateway, rules
 * from it, and the gateway where a new one is named. Everything else of the host stays as it is. Never from one family to
 * the other: RS forbids it.
 */
export const addressChangeSchema = v.pipe(
  v.object({
    link: linkIdentitySchema,
    from: hostAddressSchema,
    to: hostAddressSchema,
    /** Absent: every gateway stays. */
    gateway: v.optional(v.object({ from: addressSchema, to: addressSchema })),
  }),
  v.check(
    ({ from, to, gateway }) =>
      new Set([from, to].map(({ address }) => familyOf(address))).size === 1 &&
      (gateway === undefined ||
        (familyOf(gateway.from) === familyOf(to.address) && familyOf(gateway.to) === familyOf(to.address))),
    'Invalid change: all its addresses are of one family',
  ),
);
export type AddressChange = v.InferOutput<typeof addressChangeSchema>;
