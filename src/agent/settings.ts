import * as v from 'valibot';
import type { LocatedDocument } from '../host/ports/document.ts';
import { RlnetError } from '../protocol/errors.ts';
import { meshPort } from '../protocol/messages.ts';
import { type Bounds, defaultBounds, secondsSchema } from '../protocol/renumbering/bounds.ts';
import { addressSchema } from '../protocol/schema.ts';

const absolutePath = v.pipe(
  v.string('Invalid type: a path in text is wanted'),
  v.startsWith('/', 'Invalid path: it must start with /'),
);

/** A list without entries passes for an object without entries otherwise. */
const plainObject = v.custom<object>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'Invalid type: settings by name are wanted',
);

/** A section whose every key has a default: absent, or empty with all its keys commented out, means all defaults. */
function section<E extends v.ObjectEntries>(entries: E) {
  return v.nullish(v.pipe(plainObject, v.strictObject(entries)), {} as never);
}

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));

const boundSettings = Object.fromEntries(
  Object.entries(defaultBounds).map(([name, seconds]) => [name, v.optional(secondsSchema, seconds)]),
) as Record<keyof Bounds, ReturnType<typeof v.optional<typeof secondsSchema, number>>>;

/** `/etc/rlnet/agent.yaml`. Every key is optional; docs/configuration.md says what each is for. */
const settingsSchema = v.strictObject({
  /** `observe`: look and report, never act. */
  mode: v.optional(v.picklist(['manage', 'observe']), 'manage'),
  /** Whether operators on other hosts of the cluster may ask this host's agent to renumber its node. */
  remote_operations: v.optional(v.boolean(), true),
  mesh: section({
    /** Internal addresses of the cluster's hosts. Used until this host has learned its peers, then no more. */
    seeds: v.optional(v.array(addressSchema), []),
    port: v.optional(port, meshPort),
  }),
  tls: section({
    ca: v.optional(absolutePath, '/etc/rlnet/tls/ca.crt'),
    certificate: v.optional(absolutePath, '/etc/rlnet/tls/host.crt'),
    key: v.optional(absolutePath, '/etc/rlnet/tls/host.key'),
    /** Serial numbers of certificates that are not to be trusted any more; need not exist. */
    denied_serials: v.optional(absolutePath, '/etc/rlnet/tls/denied-serials'),
  }),
  rs: section({
    /** Found out when not given: rlec_supervisor, else rlec_supervisord. */
    unit: v.optional(v.pipe(v.string(), v.regex(/^[\w.@:-]+$/, 'Invalid unit name'))),
    rladmin: v.optional(absolutePath, '/opt/redislabs/bin/rladmin'),
    node_id_file: v.optional(absolutePath, '/etc/opt/redislabs/node.id'),
  }),
  /** Who changes addresses in the host's configuration. */
  network: v.pipe(
    section({
      /** `auto`: found out. `hook`: a program of the operator. `manual`: a person. */
      owner: v.optional(v.picklist(['auto', 'hook', 'manual']), 'auto'),
      hook: v.optional(absolutePath),
    }),
    v.check(
      ({ owner, hook }) => (owner === 'hook') === (hook !== undefined),
      'Invalid network: owner: hook needs hook: PATH, and no other owner takes one',
    ),
  ),
  renumbering: section({
    /** Seconds of every wait; `protocol/renumbering/bounds.ts` has what each is for. In the plans that this host's agent makes. */
    bounds: section(boundSettings),
  }),
  /** Where this host reports to; to nobody where there is no url. */
  collector: section({
    url: v.optional(
      v.pipe(
        v.string(),
        v.regex(/^wss:\/\/[^/?#@\s]+$/, 'Invalid url: wss://HOST:PORT is wanted, and nothing after it'),
      ),
    ),
    /** The CA of the collector's certificate; tls.ca unless given. */
    ca: v.optional(absolutePath),
  }),
  /** Where Prometheus may scrape this agent; nowhere where it is not given. Off the loopback only with certificates on both sides. */
  metrics: v.optional(
    v.pipe(
      v.strictObject({
        address: v.optional(addressSchema, '127.0.0.1'),
        port: v.optional(port, 9473),
        /** The CA of those who may scrape. */
        ca: v.optional(absolutePath),
      }),
      v.check(
        ({ address, ca }) => ca !== undefined || address === '127.0.0.1' || address === '::1',
        'Invalid metrics: an address that is not 127.0.0.1 or ::1 needs ca: the CA of those who may scrape',
      ),
    ),
  ),
  directories: section({
    state: v.optional(absolutePath, '/var/lib/rlnet'),
    runtime: v.optional(absolutePath, '/run/rlnet'),
  }),
  log: section({
    level: v.optional(v.picklist(['debug', 'info', 'warn', 'error']), 'info'),
  }),
});
export type Settings = v.InferOutput<typeof settingsSchema>;

/**
 * Settings from a parsed configuration file.
 * @throws RlnetError CONFIG_INVALID with file, line and column of the first thing that is wrong.
 */
export function decodeSettings(document: LocatedDocument, file: string): Settings {
  // An empty file parses to null, and means all defaults.
  const parsed = v.safeParse(v.pipe(plainObject, settingsSchema), document.value ?? {});
  if (parsed.success) return parsed.output;
  const [issue, ...others] = parsed.issues;
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const unknownKey = issue.type === 'strict_object' && issue.expected === 'never';
  const at = { file, ...(unknownKey ? document.locateKey(path) : document.locate(path)) };
  const name = path.join('.');
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  if (unknownKey) {
    throw new RlnetError('CONFIG_INVALID', `There is no setting ${name}${more}.`, remedyFor(path), { at });
  }
  throw new RlnetError(
    'CONFIG_INVALID',
    `${name === '' ? 'The file' : name}: ${issue.message}${more}.`,
    'docs/configuration.md lists every setting with its type and default.',
    { at },
  );
}

function remedyFor(path: readonly (string | number)[]): string {
  const parent = path.slice(0, -1).reduce<unknown>((schema, key) => entriesOf(schema)?.[key], settingsSchema);
  const known = Object.keys(entriesOf(parent) ?? {}).join(', ');
  return `Remove it or correct its name; known here: ${known}.`;
}

function entriesOf(schema: unknown): Record<string, unknown> | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined;
  if ('wrapped' in schema) return entriesOf(schema.wrapped);
  // Of a pipe the schema that has entries; what comes after it are checks.
  if ('pipe' in schema)
    return (schema.pipe as unknown[])
      .slice(1)
      .map(entriesOf)
      .find((entries) => entries !== undefined);
  return 'entries' in schema ? (schema.entries as Record<string, unknown>) : undefined;
}
