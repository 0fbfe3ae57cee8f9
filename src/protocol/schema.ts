import * as v from 'valibot';
import { type Address, tryParseAddress } from './address.ts';

/** One host address; what arrives in another notation is brought to the canonical one. */
export const addressSchema = v.pipe(
  v.string(),
  v.rawTransform<string, Address>(({ dataset, addIssue, NEVER }) => {
    const address = tryParseAddress(dataset.value);
    if (address !== undefined) return address;
    addIssue({ message: `Invalid address: ${JSON.stringify(dataset.value)} is not one host address` });
    return NEVER;
  }),
);

export const familySchema = v.picklist(['ipv4', 'ipv6']);

/** Names of clusters and hosts as they stand in certificates: letters, digits, dots and hyphens (RFC 1123), 64 at most. */
export const nameSchema = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/,
    'Invalid name: letters, digits, dots and hyphens, at most 64',
  ),
);

/** JSON takes 1e999 for Infinity, which does not come out of JSON again as a number. */
export const finiteSchema = v.pipe(v.number(), v.finite());

export const uidSchema = v.pipe(v.number(), v.integer(), v.minValue(1));
