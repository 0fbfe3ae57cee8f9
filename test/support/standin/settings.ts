import { existsSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { type Address, rangeOf, tryParseAddress } from '../../../src/protocol/address.ts';
import { defaultModelTimings } from './model.ts';

const ms = v.pipe(v.number(), v.minValue(0));

/** What a daemon can be told, by /etc/opt/redislabs/standin.json and over that by one JSON argument. */
const settingsSchema = v.strictObject({
  etcDir: v.optional(v.string(), '/etc/opt/redislabs'),
  varDir: v.optional(v.string(), '/var/opt/redislabs'),
  hostsFile: v.optional(v.string(), '/etc/hosts'),
  /** One of the ports that RS keeps for internal use. */
  peerPort: v.optional(v.number(), 3340),
  restPort: v.optional(v.number(), 9443),
  /** Where REST listens; every address of both families unless said otherwise. */
  restAddress: v.optional(v.string()),
  hostname: v.optional(v.string(), hostname),
  softwareVersion: v.optional(v.pipe(v.string(), v.regex(/^\d+\.\d+\.\d+-\d+$/)), '8.2.0-25'),
  /** Takes the place of the addresses of the host's interfaces. */
  addresses: v.optional(v.array(v.string())),
  heartbeatMs: v.optional(ms, 1_000),
  callTimeoutMs: v.optional(ms, 1_000),
  /** How long a starting node waits for its address to be bound before it gives up. */
  bindWaitMs: v.optional(ms, 10_000),
  /** How long each state of a bootstrap lasts. */
  bootstrapStepMs: v.optional(ms, 300),
  /** How long a command may wait for a cluster master. */
  commandWaitMs: v.optional(ms, 5_000),
  downAfterMs: v.optional(ms, defaultModelTimings.downAfterMs),
  resyncMs: v.optional(ms, defaultModelTimings.resyncMs),
  actionMs: v.optional(ms, 1_000),
});

export type Settings = v.InferOutput<typeof settingsSchema>;
export type SettingsInput = v.InferInput<typeof settingsSchema>;

/** @throws when a key is unknown or a value is of the wrong kind: a typing error must not become a default. */
export function readSettings(argument: string): Settings {
  const told = v.parse(v.record(v.string(), v.unknown()), JSON.parse(argument));
  const file = join(v.parse(settingsSchema, told).etcDir, 'standin.json');
  const filed: unknown = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  return v.parse(settingsSchema, { ...v.parse(v.record(v.string(), v.unknown()), filed), ...told });
}

export interface InterfaceEntry {
  name: string;
  address: Address;
}

/** The addresses a node can use: on interfaces that are up, neither loopback nor link-local. */
export function usableAddresses({ addresses }: Settings): InterfaceEntry[] {
  const found = Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.map(({ address }) => ({ name, address })),
  );
  const told = addresses?.map((address) => ({ name: 'lo', address }));
  return (told ?? found).flatMap(({ name, address: text }) => {
    const address = tryParseAddress(text);
    const usable = address !== undefined && !['loopback', 'linkLocal'].includes(rangeOf(address));
    return address !== undefined && (told !== undefined || usable) ? [{ name, address }] : [];
  });
}
