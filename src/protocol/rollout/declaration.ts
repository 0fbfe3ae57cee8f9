import * as v from 'valibot';
import { type Address, parseInterfaceAddress } from '../address.ts';
import { hostAddressSchema } from '../address-change.ts';
import { asRlnetError } from '../errors.ts';
import { addressSchema, nameSchema, uidSchema } from '../schema.ts';

/** As many nodes as still make one message of the mesh. */
const mostNodes = 64;

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const timeOfDay = v.pipe(
  v.string(),
  v.regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'Invalid time: HH:MM from 00:00 to 23:59 is wanted, in quotes'),
);

/** When work may begin on a node, in UTC. From `from` up to `to`; where `to` is not later, it is of the next day. */
const windowSchema = v.strictObject({
  /** On which the window begins; every day unless given. */
  days: v.optional(v.pipe(v.array(v.picklist(days)), v.minLength(1))),
  from: timeOfDay,
  to: timeOfDay,
});
export type MaintenanceWindow = v.InferOutput<typeof windowSchema>;

const declaredNodeEntries = {
  node: uidSchema,
  /** The new network's gateway, where the internal address moves to another network. */
  gateway: v.optional(addressSchema),
  /** All external addresses; absent where they are not declared, and left alone. */
  external: v.optional(v.pipe(v.array(addressSchema), v.maxLength(64))),
};

/** The addresses of a cluster as they are to be. A node that is not in it is left alone. */
export const declarationSchema = v.object({
  /** The name that stands in the certificates of the mesh: a file for another cluster is refused. */
  cluster: v.optional(nameSchema),
  nodes: v.pipe(
    v.array(
      v.object({
        ...declaredNodeEntries,
        /** Absent where it is not declared, and left alone. */
        internal: v.optional(hostAddressSchema),
      }),
    ),
    v.maxLength(mostNodes),
  ),
  /** None means at any time. */
  windows: v.array(windowSchema),
});
export type Declaration = v.InferOutput<typeof declarationSchema>;
export type DeclaredNode = Declaration['nodes'][number];

const interfaceAddress = v.pipe(
  v.string('Invalid type: ADDRESS/LENGTH is wanted'),
  v.rawTransform<string, { address: Address; prefixLength: number }>(({ dataset, addIssue, NEVER }) => {
    try {
      return parseInterfaceAddress(dataset.value);
    } catch (thrown) {
      addIssue({ message: `Invalid address: ${asRlnetError(thrown).message.replace(/\.$/, '')}` });
      return NEVER;
    }
  }),
);

/** The file: as the declaration, with `internal` as people write it. docs/cluster.schema.json says the same to editors. */
export const clusterFileSchema = v.strictObject({
  cluster: v.optional(nameSchema),
  nodes: v.pipe(
    v.array(v.strictObject({ ...declaredNodeEntries, internal: v.optional(interfaceAddress) })),
    v.minLength(1),
    v.maxLength(mostNodes),
  ),
  windows: v.optional(v.pipe(v.array(windowSchema), v.minLength(1))),
});

/** The file's text for a declaration. @param notes shown as comments, by node */
export function renderClusterFile(
  { cluster, nodes }: Declaration,
  notes: ReadonlyMap<number, string>,
): string {
  const quoted = (text: string): string => `"${text}"`;
  return [
    // For editors; where the package puts it.
    '# yaml-language-server: $schema=/usr/share/doc/rlnet/cluster.schema.json',
    '# The addresses of the cluster, as they are. Change what is to be changed, then: rlnet plan -f FILE',
    ...(cluster === undefined ? [] : [`cluster: ${quoted(cluster)}`]),
    'nodes:',
    ...nodes.flatMap(({ node, internal, external }) => {
      const note = notes.get(node);
      return [
        `  - node: ${node}`,
        ...(note === undefined ? [] : [`    # ${note.replaceAll(/\s+/g, ' ')}`]),
        ...(internal === undefined
          ? []
          : [`    internal: ${quoted(`${internal.address}/${internal.prefixLength}`)}`]),
        ...(external === undefined ? [] : [`    external: [${external.map(quoted).join(', ')}]`]),
      ];
    }),
    '',
  ].join('\n');
}

/** Whether work on a node may begin. @param wall milliseconds since the epoch */
export function isInWindow(windows: readonly MaintenanceWindow[], wall: number): boolean {
  if (windows.length === 0) return true;
  const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  const dayMinutes = 24 * 60;
  const total = Math.floor(wall / 60_000);
  const now = ((total % dayMinutes) + dayMinutes) % dayMinutes;
  // The first of January 1970 was a Thursday.
  const today = (((Math.floor(total / dayMinutes) + 3) % 7) + 7) % 7;
  return windows.some((window) => {
    const [from, to] = [minutesOf(window.from), minutesOf(window.to)];
    const isOn = (day: number): boolean =>
      window.days === undefined || window.days.includes(days[(day + 7) % 7] ?? 'mon');
    if (from < to) return isOn(today) && now >= from && now < to;
    return (isOn(today) && now >= from) || (isOn(today - 1) && now < to);
  });
}
