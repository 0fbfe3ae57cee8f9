import type { RsNode } from '../../protocol/rs.ts';
import { known, type Observations } from '../observations.ts';

/** While one of these fails, nothing that RS says is worth a word of its own. */
export const rsCauses = [
  'RS_UNIT_NOT_RUNNING',
  'RS_NOT_ANSWERING',
  'INTERNAL_ADDRESS_NOT_BOUND',
  'RENUMBERING_UNDER_WAY',
];

/** RS's nodes as they were read last. */
export function tableOf({ nodeTable }: Observations): readonly RsNode[] | undefined {
  return known(nodeTable)?.nodes;
}
