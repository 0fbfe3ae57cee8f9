import * as v from 'valibot';
import { type ErrorReport, isErrorCode, RlnetError } from './errors.ts';
import { addressSchema, familySchema, nameSchema, uidSchema } from './schema.ts';
import { hostStateSchema } from './state.ts';

/** The WebSocket subprotocol: the major version of the wire. */
export const subprotocol = 'rlnet.v1';
/** The minor versions that this build speaks; hello carries the range, and the highest common one is used. */
export const protocolRange = { min: 1, max: 1 } as const;
/** TCP port of the mesh; in none of RS's ranges (RS/networking/port-configurations). */
export const meshPort = 9470;
/** No message of the mesh, in either direction, is longer than this many bytes. */
export const maxMessageBytes = 64 * 1024;
/** Nor one on a control socket, where a view of a hundred hosts has to pass whole. */
export const maxLocalMessageBytes = 4 * 1024 * 1024;

/** No echo is held for longer than this, milliseconds. */
const maxEchoHeldMs = 10_000;

const idSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(64));

const helloSchema = v.object({
  type: v.literal('hello'),
  protocol: v.object({ min: v.pipe(v.number(), v.finite()), max: v.pipe(v.number(), v.finite()) }),
  cluster: nameSchema,
  host: nameSchema,
  /** The agent's version; for people. */
  version: v.string(),
  machineId: idSchema,
  bootId: idSchema,
  /** New at each start of the agent. */
  instance: idSchema,
  nodeUid: v.optional(uidSchema),
  internalFamily: v.optional(familySchema),
  internalAddress: v.optional(addressSchema),
});
export type Hello = v.InferOutput<typeof helloSchema>;

const errorReportSchema = v.object({
  code: v.string(),
  message: v.string(),
  remedy: v.string(),
});

/**
 * Every message, on the mesh and on the control sockets alike. An append-only list: a type that a peer does not know is
 * ignored there, a method that it does not know is refused.
 */
export const messageSchemas = [
  helloSchema,
  v.object({
    type: v.literal('ping'),
    nonce: idSchema,
    /** The echo may come with a ping of the other side's, if it comes within so many milliseconds; else at once, as a pong. */
    withinMs: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(maxEchoHeldMs))),
    /** The echo of a ping that allowed it, and for how long it was held, milliseconds. */
    echo: v.optional(
      v.object({ nonce: idSchema, heldMs: v.pipe(v.number(), v.minValue(0), v.maxValue(maxEchoHeldMs)) }),
    ),
  }),
  /** Only the echo of a nonce that I sent proves that the path works both ways. */
  v.object({ type: v.literal('pong'), nonce: idSchema }),
  v.object({ type: v.literal('state'), state: hostStateSchema }),
  v.object({ type: v.literal('request'), id: idSchema, method: v.string(), params: v.optional(v.unknown()) }),
  v.object({
    type: v.literal('response'),
    id: idSchema,
    result: v.optional(v.unknown()),
    error: v.optional(errorReportSchema),
  }),
  /** The answer to that request is not wanted any more. */
  v.object({ type: v.literal('cancel'), id: idSchema }),
  v.object({ type: v.literal('event'), name: v.string(), data: v.optional(v.unknown()) }),
  v.object({ type: v.literal('bye'), code: v.string(), reason: v.string() }),
] as const;
export type Message = v.InferOutput<(typeof messageSchemas)[number]>;

/** Looked up, not searched through: pings come by the hundred. */
const schemaOf: ReadonlyMap<string, v.GenericSchema<unknown, Message>> = new Map(
  messageSchemas.map((schema) => [schema.entries.type.literal, schema]),
);

/** The longest text from outside that is logged, shown or sent on, in characters; a sentence is far shorter. */
const maxQuotedLength = 1_000;

/** A text that another side had a say in, no longer than a person would read. */
export function quoted(text: string): string {
  return text.length > maxQuotedLength ? `${text.slice(0, maxQuotedLength)}…` : text;
}

function invalid(why: string): RlnetError {
  return new RlnetError(
    'MESSAGE_INVALID',
    `A message was refused: ${why}.`,
    'Check that both agents run versions of rlnet that go together.',
  );
}

/**
 * @returns undefined for a well-formed message of a type that this version does not know: to be ignored.
 * @throws RlnetError MESSAGE_INVALID for anything too long, not JSON, or not of its type's shape.
 */
export function decodeMessage(text: string, maxBytes = maxMessageBytes): Message | undefined {
  if (Buffer.byteLength(text) > maxBytes) throw invalid(`longer than ${maxBytes} bytes`);
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw invalid('not JSON');
  }
  const type = typeof data === 'object' && data !== null && 'type' in data ? data.type : undefined;
  if (typeof type !== 'string') throw invalid('no type');
  const schema = schemaOf.get(type);
  return schema === undefined ? undefined : decodeWith(schema, data, type);
}

/** Whether a message of the mesh is short enough to be sent. */
export function fitsMessage(message: Message): boolean {
  return Buffer.byteLength(JSON.stringify(message)) <= maxMessageBytes;
}

/** @throws RlnetError MESSAGE_INVALID where the message would be too long for the other side to take. */
export function encodeMessage(message: Message, maxBytes = maxMessageBytes): string {
  const text = JSON.stringify(message);
  if (Buffer.byteLength(text) > maxBytes) {
    throw invalid(`a ${message.type} of ${Buffer.byteLength(text)} bytes is longer than ${maxBytes}`);
  }
  return text;
}

/**
 * Reads data from outside by its schema.
 * @throws RlnetError MESSAGE_INVALID that names `what` and the path of the first thing wrong.
 */
export function decodeWith<T>(schema: v.GenericSchema<unknown, T>, data: unknown, what: string): T {
  const parsed = v.safeParse(schema, data);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw invalid(`${what} at ${v.getDotPath(issue) ?? 'the top'}: ${quoted(issue.message)}`);
}

/** The error of a `response`, for the side that asked. A code from a newer version becomes INTERNAL and keeps its name in the text. */
export function errorFromResponse(report: { code: string; message: string; remedy: string }): RlnetError {
  return isErrorCode(report.code)
    ? new RlnetError(report.code, report.message, report.remedy)
    : new RlnetError('INTERNAL', `${report.code}: ${report.message}`, report.remedy);
}

export function responseTo(id: string, outcome: { result: unknown } | { error: ErrorReport }): Message {
  return 'error' in outcome
    ? {
        type: 'response',
        id,
        error: {
          code: outcome.error.code,
          message: quoted(outcome.error.message),
          remedy: quoted(outcome.error.remedy),
        },
      }
    : { type: 'response', id, result: outcome.result };
}

/** The highest minor version that both sides speak, or undefined where there is none. */
export function commonProtocol(theirs: { min: number; max: number }): number | undefined {
  const highest = Math.min(theirs.max, protocolRange.max);
  return highest >= Math.max(theirs.min, protocolRange.min) ? highest : undefined;
}

/** WebSocket close codes of ours (RFC 6455 leaves 4000 to 4999 to applications). */
export const closeCodes = {
  goingAway: 1001,
  refused: 4400,
  duplicate: 4409,
  badMessage: 4422,
} as const;
export type CloseReason = keyof typeof closeCodes;
