import * as v from 'valibot';
import type { LocatedDocument } from '../host/ports/document.ts';
import { RlnetError } from '../protocol/errors.ts';
import { collectorPort } from '../protocol/reporting.ts';
import { addressSchema, nameSchema } from '../protocol/schema.ts';

const absolutePath = v.pipe(
  v.string('Invalid type: a path in text is wanted'),
  v.startsWith('/', 'Invalid path: it must start with /'),
);
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const days = v.pipe(v.number(), v.minValue(1), v.maxValue(3_650));

/** `/etc/rlnet/collector.yaml`; docs/configuration.md says what each key is for. */
const settingsSchema = v.strictObject({
  /** Each cluster that reports, with the CA of its hosts. */
  clusters: v.pipe(
    v.record(nameSchema, v.strictObject({ ca: absolutePath })),
    v.check((clusters) => Object.keys(clusters).length > 0, 'Invalid clusters: one at least is wanted'),
  ),
  /** Where agents connect. */
  agents: v.optional(
    v.strictObject({ address: v.optional(addressSchema, '::'), port: v.optional(port, collectorPort) }),
    {},
  ),
  tls: v.optional(
    v.strictObject({
      certificate: v.optional(absolutePath, '/etc/rlnet/tls/collector.crt'),
      key: v.optional(absolutePath, '/etc/rlnet/tls/collector.key'),
    }),
    {},
  ),
  /** The page, the JSON API and /metrics. Off the loopback only with certificates on both sides. */
  web: v.pipe(
    v.optional(
      v.strictObject({
        address: v.optional(addressSchema, '127.0.0.1'),
        port: v.optional(port, collectorPort + 1),
        /** The CA of those who may read. */
        ca: v.optional(absolutePath),
      }),
      {},
    ),
    v.check(
      ({ address, ca }) => ca !== undefined || address === '127.0.0.1' || address === '::1',
      'Invalid web: an address that is not 127.0.0.1 or ::1 needs ca: the CA of those who may read',
    ),
  ),
  directory: v.optional(absolutePath, '/var/lib/rlnet-collector'),
  /** How long events are kept. */
  keep: v.optional(
    v.strictObject({ event_days: v.optional(days, 30), renumbering_days: v.optional(days, 1_095) }),
    {},
  ),
  log: v.optional(
    v.strictObject({ level: v.optional(v.picklist(['debug', 'info', 'warn', 'error']), 'info') }),
    {},
  ),
});
export type CollectorSettings = v.InferOutput<typeof settingsSchema>;

/**
 * @throws RlnetError CONFIG_INVALID with file, line and column of the first thing that is wrong
 */
export function decodeCollectorSettings(document: LocatedDocument, file: string): CollectorSettings {
  const parsed = v.safeParse(settingsSchema, document.value ?? {});
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const unknownKey = issue.type === 'strict_object' && issue.expected === 'never';
  const name = path.join('.');
  throw new RlnetError(
    'CONFIG_INVALID',
    unknownKey ? `There is no setting ${name}.` : `${name === '' ? 'The file' : name}: ${issue.message}.`,
    'docs/configuration.md lists every setting of the collector with its type and default.',
    { at: { file, ...(unknownKey ? document.locateKey(path) : document.locate(path)) } },
  );
}
