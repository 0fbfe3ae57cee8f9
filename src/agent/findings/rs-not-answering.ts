import { type Check, fail, isNoNode, notApplicable, pass, unknown } from './check.ts';

export const rsNotAnswering: Check = {
  code: 'RS_NOT_ANSWERING',
  title: 'rladmin does not say how the nodes are',
  severity: 'error',
  about:
    '`rladmin status nodes` failed on this host, or said nothing that could be read: RS has lost its quorum, is not up yet, or is not there. What else is known of RS is not known then. It is read every 12 to 60 seconds, every 15 at least while it fails, and is shown when it has failed twice.',
  remedy:
    'Run rladmin status nodes on this host and see what it says; /opt/redislabs/bin/supervisorctl status shows the services.',
  showAfterMs: 16_000,
  behind: ['RS_UNIT_NOT_RUNNING', 'INTERNAL_ADDRESS_NOT_BOUND', 'RENUMBERING_UNDER_WAY'],
  judge({ observations }) {
    const { nodeTable } = observations;
    if (isNoNode(observations)) return notApplicable('this host is not a node');
    if (nodeTable === undefined) return unknown('not read yet');
    if ('error' in nodeTable) return fail(nodeTable.error.message);
    return nodeTable.value.nodes.length === 0 ? fail('the table of nodes is empty') : pass('it does');
  },
};
