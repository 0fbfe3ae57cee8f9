import type * as v from 'valibot';
import { RlnetError } from '../protocol/errors.ts';
import { decodeWith } from '../protocol/messages.ts';
import {
  type Asker,
  isMethod,
  type MethodName,
  mayCall,
  methods,
  type Params,
  type Result,
} from '../protocol/methods.ts';

/** One function for each method of the table; the compiler asks for all of them. */
export type Handlers = {
  [M in MethodName]: (params: Params<M>, asker: Asker) => Promise<Result<M>>;
};

/**
 * Answers a request, whoever it comes from: knows the method, lets the caller ask for it, reads the parameters by their schema.
 * @throws RlnetError METHOD_UNKNOWN, NOT_PERMITTED, MESSAGE_INVALID, or what the handler throws.
 */
export async function callMethod(
  handlers: Handlers,
  asker: Asker,
  name: string,
  params: unknown,
): Promise<unknown> {
  if (!isMethod(name)) {
    throw new RlnetError(
      'METHOD_UNKNOWN',
      `There is no method ${JSON.stringify(name)}.`,
      'Check that both sides run versions of rlnet that go together.',
    );
  }
  if (!mayCall(asker.caller, name)) {
    throw new RlnetError(
      'NOT_PERMITTED',
      `A ${asker.caller} may not call ${name}.`,
      'docs/security.md lists who may ask for what.',
    );
  }
  const schema: v.GenericSchema = methods[name].params;
  const decoded = decodeWith(schema, params ?? {}, `the parameters of ${name}`);
  // The table pairs each handler with the schema of its own parameters; the compiler cannot follow that through a variable name.
  const handler = handlers[name] as (params: unknown, asker: Asker) => Promise<unknown>;
  return await handler(decoded, asker);
}

/**
 * Reads a peer's answer by the schema of its method.
 * @throws RlnetError MESSAGE_INVALID
 */
export function decodeResult<M extends MethodName>(method: M, answer: unknown, host: string): Result<M> {
  return decodeWith<unknown>(methods[method].result, answer, `the ${method} of ${host}`) as Result<M>;
}
