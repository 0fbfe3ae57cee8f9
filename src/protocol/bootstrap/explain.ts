import type { Reason } from '../renumbering/records.ts';
import type { BootstrapAnswer } from './answers.ts';

/** RS's error codes of a bootstrap (RS/references/rest-api/objects/bootstrap/bootstrap_status), and what each means to a person. */
const known: Readonly<Record<string, { means: string; remedy: string }>> = {
  config_error: {
    means: 'RS does not take a value of the request',
    remedy: 'Read which one in the details, and correct it.',
  },
  connect_error: {
    means: 'the node could not talk to the cluster',
    remedy:
      'See that the member runs, has quorum, and that no firewall is between the two on the internal ports of RS; an IPv6 address with ::1 in it is refused by builds with RS188659.',
  },
  access_denied: {
    means: 'the cluster does not know this user and password',
    remedy: 'Give the credentials of an administrator of the cluster that is joined.',
  },
  invalid_license: { means: 'the license is not valid', remedy: 'Look at the license of the cluster.' },
  repair_required: {
    means: 'a node of the cluster is down, and a node that joins would take its place',
    remedy: 'Bring the node back that is down, then join. rlnet never replaces one.',
  },
  insufficient_node_memory: {
    means: 'this host has less memory than the cluster asks for',
    remedy: 'Give the host the memory that the details name.',
  },
  insufficient_node_flash: {
    means: 'this host has less flash than the cluster asks for',
    remedy: 'Give the host the flash that the details name.',
  },
  time_not_sync: {
    means: "this host's clock and the cluster's differ",
    remedy: 'Look after the time source of both: timedatectl.',
  },
  rack_id_required: {
    means: 'the cluster is rack-aware and wants a rack id',
    remedy: 'Join it with rladmin cluster join … rack_id; rlnet gives none.',
  },
  socket_directory_mismatch: {
    means: "RS's socket directory is another one than on the other nodes",
    remedy: 'Install RS with the same folders as on the other nodes.',
  },
  node_config_mismatch: {
    means: "RS's configuration of this node does not fit the cluster",
    remedy: 'Compare /etc/opt/redislabs with another node; the versions of RS have to be the same too.',
  },
  path_error: {
    means: 'a folder of RS is missing, or not its own',
    remedy: 'Look at the paths in the details, and whose they are.',
  },
  internal_error: {
    means: 'RS failed in itself',
    remedy: 'Look in /var/opt/redislabs/log of this host; a new attempt may work.',
  },
};

/**
 * RS's own error of a bootstrap in words. What it says is shown whole, as codes come that are published nowhere: the one of the vendor's
 * NodeBootstrapError is among them.
 */
export function explainBootstrapError({
  errorCode = 'no error code',
  errorDetails,
}: Pick<BootstrapAnswer, 'errorCode' | 'errorDetails'>): Reason {
  const said = errorDetails === undefined ? '' : ` ${JSON.stringify(errorDetails)}`;
  const explained = Object.hasOwn(known, errorCode) ? known[errorCode] : undefined;
  return explained === undefined
    ? {
        code: errorCode,
        message: `RS says ${errorCode}, which its documentation does not have:${said || ' no details'}`,
        remedy: 'Read the details; look in /var/opt/redislabs/log of this host.',
      }
    : {
        code: errorCode,
        message: `${explained.means} (${errorCode}):${said || ' no details'}`,
        remedy: explained.remedy,
      };
}
