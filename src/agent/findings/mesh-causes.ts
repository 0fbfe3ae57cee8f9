/** While one of these fails, it is no wonder that others cannot be reached. */
export const meshCauses = [
  'INTERNAL_ADDRESS_NOT_BOUND',
  'INTERNAL_FAMILY_MISSING',
  'RENUMBERING_UNDER_WAY',
  'CERTIFICATE_OVER',
];
