import * as v from 'valibot';
import { decodeWith } from './messages.ts';
import { reachabilitySchema } from './reachability.ts';
import { nodeTableSchema } from './rs.ts';
import { addressSchema, finiteSchema, nameSchema } from './schema.ts';
import { hostStateSchema } from './state.ts';

/*
 * What agents report to a collector, over a WebSocket with certificates on both sides. The agent sends its newest snapshot, where the last one
 * wins, and events of numbered *streams*: what was counted comes in order, and is in the database once. A stream is of one host:
 * `boot:ID` has what was seen during one boot, `journal:PLAN` the records of one renumbering. Only the collector knows how far it has got:
 * it says so when it is asked, and after each batch. It can ask for nothing else.
 */

/** The WebSocket subprotocol: the major version of reporting. */
export const reportSubprotocol = 'rlnet-report.v1';
/** TCP port of the collector; in none of RS's ranges, nor the mesh's. */
export const collectorPort = 9471;
/** No message in either direction is longer. */
export const maxReportBytes = 512 * 1024;
/** So many events come in one message at most, and so many streams in one question. */
export const maxBatch = 200;
export const maxStreams = 128;

const counterSchema = v.pipe(v.number(), v.integer(), v.minValue(0));
export const streamSchema = v.pipe(
  v.string(),
  v.regex(/^(boot|journal):[0-9a-zA-Z-]{1,64}$/, 'Invalid stream'),
);

/** One thing that happened. `at` is the wall clock of the host, milliseconds since the epoch. */
export const reportEventSchema = v.object({
  /** From 1 on, without gaps but for what a full spool had to drop. */
  n: v.pipe(v.number(), v.integer(), v.minValue(1)),
  at: finiteSchema,
  kind: v.pipe(v.string(), v.regex(/^[a-z_]{1,32}$/, 'Invalid kind')),
  data: v.unknown(),
});
export type ReportEvent = v.InferOutput<typeof reportEventSchema>;

/** A host as it is now: what it says of itself, what RS says there, and how it stands to the others. */
export const snapshotSchema = v.object({
  state: hostStateSchema,
  /** RS's node table as this host's rladmin printed it last; absent while it is not known. */
  rs: v.optional(nodeTableSchema),
  links: v.pipe(
    v.array(
      v.object({
        host: nameSchema,
        linked: v.boolean(),
        address: v.optional(addressSchema),
        reachability: reachabilitySchema,
      }),
    ),
    v.maxLength(256),
  ),
});
export type Snapshot = v.InferOutput<typeof snapshotSchema>;

/** What an agent sends. */
const reports = v.variant('type', [
  v.object({ type: v.literal('hello'), version: v.string(), bootId: v.pipe(v.string(), v.maxLength(64)) }),
  v.object({ type: v.literal('snapshot'), at: finiteSchema, snapshot: snapshotSchema }),
  /** How far has the collector got with these? */
  v.object({ type: v.literal('streams'), names: v.pipe(v.array(streamSchema), v.maxLength(maxStreams)) }),
  v.object({
    type: v.literal('events'),
    stream: streamSchema,
    events: v.pipe(v.array(reportEventSchema), v.minLength(1), v.maxLength(maxBatch)),
  }),
]);
export type Report = v.InferOutput<typeof reports>;

/** What a collector answers. */
const answers = v.variant('type', [
  /** The number of the last event that is in the database, by stream; 0 for none. */
  v.object({ type: v.literal('known'), last: v.record(v.string(), counterSchema) }),
  /** Everything up to `n` is in the database, durably. */
  v.object({ type: v.literal('ack'), stream: streamSchema, n: counterSchema }),
  /** The newest snapshot is in the database. */
  v.object({ type: v.literal('seen') }),
  /** It cannot be written now; come again in so many seconds. */
  v.object({
    type: v.literal('later'),
    seconds: v.pipe(v.number(), v.minValue(0), v.maxValue(3_600)),
    why: v.string(),
  }),
]);
export type ReportAnswer = v.InferOutput<typeof answers>;

/** @throws RlnetError MESSAGE_INVALID */
export function decodeReport(text: string): Report {
  return decode(reports, text, 'a report');
}

/** @throws RlnetError MESSAGE_INVALID */
export function decodeReportAnswer(text: string): ReportAnswer {
  return decode(answers, text, 'an answer of the collector');
}

function decode<T>(schema: v.GenericSchema<unknown, T>, text: string, what: string): T {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    data = undefined;
  }
  return decodeWith(schema, data, what);
}
