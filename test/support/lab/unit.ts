import type { UnitControl } from '../../../src/host/ports/unit-control.ts';
import { type ErrorReport, RlnetError } from '../../../src/protocol/errors.ts';
import type { BootTime } from '../../../src/protocol/renumbering/records.ts';
import type { UnitRecord, UnitState } from '../../../src/protocol/unit.ts';
import type { Host } from './lab.ts';

const checkout = '/opt/redislabs/standin';

/** What a host of the lab can be asked to do with the real adapters of its own systemd. */
export interface HostCall {
  call:
    | { what: 'discover'; configured?: string }
    | { what: 'state' | 'record'; unit: string }
    | { what: 'records'; units: readonly string[] }
    | { what: 'enable' | 'disable' | 'flush'; unit: UnitRecord }
    | { what: 'start' | 'stop'; unit: string; boundMs: number }
    | { what: 'boot time' }
    | { what: 'reboot'; reason: string };
  /** Programs of the host that others take the place of: paths on the host, by name. */
  programs?: Readonly<Record<string, string>>;
}

export type HostCallOutcome = { value?: unknown; error?: ErrorReport; effects: string[] };

/** Makes a call on the host. */
export async function callOn(host: Host, call: HostCall): Promise<HostCallOutcome> {
  const program = [`${checkout}/node_modules/.bin/node`, `${checkout}/test/support/lab/call-on-host.ts`];
  return JSON.parse(await host.execOk(program, { input: JSON.stringify(call) })) as HostCallOutcome;
}

async function answerOf(host: Host, call: HostCall['call']): Promise<unknown> {
  const { value, error } = await callOn(host, { call });
  if (error !== undefined) throw new RlnetError(error.code, error.message, error.remedy);
  return value;
}

/** The real UnitControl of a host, from here. The signals of its jobs are not passed on. */
export function unitControlOf(host: Host): UnitControl {
  return {
    state: async (unit) => (await answerOf(host, { what: 'state', unit })) as UnitState,
    record: async (unit) => (await answerOf(host, { what: 'record', unit })) as UnitRecord,
    enable: async (unit) => {
      await answerOf(host, { what: 'enable', unit });
    },
    flush: async (unit) => {
      await answerOf(host, { what: 'flush', unit });
    },
    disable: async (unit) => {
      await answerOf(host, { what: 'disable', unit });
    },
    start: async (unit, { boundMs }) => {
      await answerOf(host, { what: 'start', unit, boundMs });
    },
    stop: async (unit, { boundMs }) => {
      await answerOf(host, { what: 'stop', unit, boundMs });
    },
  };
}

export async function discoverOn(host: Host, configured?: string): Promise<string | undefined> {
  return (await answerOf(host, {
    what: 'discover',
    ...(configured === undefined ? {} : { configured }),
  })) as string | undefined;
}

export async function bootTimeOf(host: Host): Promise<BootTime> {
  return (await answerOf(host, { what: 'boot time' })) as BootTime;
}

export async function rebootFromInside(host: Host, reason: string): Promise<void> {
  await answerOf(host, { what: 'reboot', reason });
}
