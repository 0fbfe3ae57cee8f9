import * as v from 'valibot';
import { checkReportSchema, clusterViewSchema, interfacesPageSchema } from './state.ts';

/** A node uid or a host's name, as a person gives it on the command line. */
const nodeReferenceSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(64));

/**
 * Every method, with who may call it. Peers are told apart by their TLS identity, never by what a message says.
 * `peer`: agents of the same cluster. `read`: /run/rlnet/read.sock (group rlnet). `act`: /run/rlnet/agent.sock (root), which may
 * also do all that `read` may.
 */
export const methods = {
  /** The cluster as the answering agent sees it. */
  status: { callers: ['read'], params: v.object({}), result: clusterViewSchema },
  /** As `status`, and from then on a `status` event whenever it changes, until the connection ends. */
  watch: { callers: ['read'], params: v.object({}), result: clusterViewSchema },
  /** One part of a host's interfaces; of the answering host itself, or through it of another one. */
  interfaces: {
    callers: ['peer', 'read'],
    params: v.object({ node: v.optional(nodeReferenceSchema), after: v.optional(v.number()) }),
    result: interfacesPageSchema,
  },
  /** Reads everything afresh, runs every check, and says all results, those that passed too. */
  check: {
    callers: ['peer', 'read'],
    params: v.object({ node: v.optional(nodeReferenceSchema) }),
    result: checkReportSchema,
  },
} as const satisfies Record<
  string,
  { callers: readonly Caller[]; params: v.GenericSchema; result: v.GenericSchema }
>;

export type Caller = 'peer' | 'read' | 'act';
export type MethodName = keyof typeof methods;
export type Params<M extends MethodName> = v.InferOutput<(typeof methods)[M]['params']>;
export type Result<M extends MethodName> = v.InferOutput<(typeof methods)[M]['result']>;

export function isMethod(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}

/** Whether the table lets this caller ask for this method. */
export function mayCall(caller: Caller, method: MethodName): boolean {
  const callers: readonly Caller[] = methods[method].callers;
  return callers.includes(caller) || (caller === 'act' && callers.includes('read'));
}
