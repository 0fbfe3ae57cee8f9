import * as v from 'valibot';
import { tryParseAddress } from '../address.ts';
import { RlnetError } from '../errors.ts';
import type { OfferedAddress, RsMember } from './facts.ts';

/*
 * What RS's REST API answers. The documentation and recorded answers of real nodes differ in names and in types, so both are taken
 * (RS/references/rest-api/objects/bootstrap, and node).
 */

const uid = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number))]),
  v.integer(),
  v.minValue(1),
);

const offered = v.looseObject({ address: v.string(), if_name: v.optional(v.string()) });
const bootstrapSchema = v.looseObject({
  bootstrap_status: v.looseObject({
    state: v.string(),
    error_code: v.nullish(v.string()),
    error_details: v.nullish(v.unknown()),
  }),
  local_node_info: v.optional(
    v.looseObject({
      /** As documented, and as a real node was seen to send it. */
      available_addrs: v.optional(v.array(offered)),
      available_addresses: v.optional(v.array(offered)),
    }),
  ),
});

/** `GET /v1/bootstrap`. */
export interface BootstrapAnswer {
  /** `idle`, `initiated`, `creating_cluster`, `joining_cluster`, `recovering_cluster`, `error`, `completed`; another word as it is. */
  state: string;
  /** As RS says it; both are there in state `error`. */
  errorCode?: string;
  errorDetails?: unknown;
  /** The addresses that RS believes the host to have; undefined where it lists none. */
  offer?: OfferedAddress[];
}

/** @throws RlnetError OUTPUT_UNREADABLE */
export function readBootstrapAnswer(body: unknown): BootstrapAnswer {
  const { bootstrap_status: status, local_node_info: info } = decode(bootstrapSchema, body, 'the bootstrap');
  const listed = info?.available_addresses ?? info?.available_addrs;
  return {
    state: status.state,
    ...(status.error_code == null ? {} : { errorCode: status.error_code }),
    ...(status.error_details == null ? {} : { errorDetails: status.error_details }),
    ...(listed === undefined
      ? {}
      : {
          offer: listed.flatMap(({ address: text, if_name: name }) => {
            const address = tryParseAddress(text);
            return address === undefined
              ? []
              : [{ address, ...(name === undefined ? {} : { interface: name }) }];
          }),
        }),
  };
}

const nodesSchema = v.array(
  v.looseObject({
    uid,
    addr: v.string(),
    external_addr: v.optional(v.array(v.string())),
    status: v.optional(v.string()),
    software_version: v.optional(v.string()),
  }),
);

/** `GET /v1/nodes`. @throws RlnetError OUTPUT_UNREADABLE, also for an address that is none */
export function readMembers(body: unknown): RsMember[] {
  return decode(nodesSchema, body, 'the nodes').map((node) => {
    const address = tryParseAddress(node.addr);
    if (address === undefined)
      throw unreadable('the nodes', `node ${node.uid} has ${JSON.stringify(node.addr)}`);
    return {
      uid: node.uid,
      address,
      external: (node.external_addr ?? []).flatMap((text) => tryParseAddress(text) ?? []),
      status: node.status ?? 'unknown',
      ...(node.software_version === undefined ? {} : { version: node.software_version }),
    };
  });
}

function decode<S extends v.GenericSchema>(schema: S, body: unknown, what: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, body);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw unreadable(what, `${v.getDotPath(issue) ?? 'the answer'}: ${issue.message}`);
}

function unreadable(what: string, why: string): RlnetError {
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `RS's REST API said of ${what} what rlnet cannot read: ${why}.`,
    'Report it with the version of RS.',
  );
}
