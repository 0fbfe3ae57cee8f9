import { dirname } from 'node:path';
import { sleep } from '../../../src/host/ports/clock.ts';
import type { JobOptions, UnitControl } from '../../../src/host/ports/unit-control.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { judgeDisabled, judgeEnabled, type UnitRecord } from '../../../src/protocol/unit.ts';
import { settleMs } from '../../../src/protocol/unit-run.ts';
import { enabledUnit } from '../unit-record.ts';
import { enablingLink, type SimHost, unitFiles } from './host.ts';
import type { SimProcess } from './process.ts';

/** What `systemctl` costs, milliseconds. */
const showMs = { low: 5, high: 30 };
const changeMs = { low: 100, high: 500 };
const syncMs = { low: 1, high: 20 };
const pollMs = 250;

/** The twin of systemd for units with a file of their own and one link that enables them. */
export function createSimUnitControl(process: SimProcess, host: SimHost): UnitControl {
  const { clock, latency } = process;

  const record = (unit: string): Promise<UnitRecord> =>
    process.call(latency.between(showMs.low, showMs.high), `systemctl show ${unit}`, () =>
      recordOf(host, unit),
    );

  const flush = (unit: string): Promise<void> => {
    const directory = dirname(enablingLink(unit));
    return host.command(process, `sync ${directory}`, syncMs, () => host.disk.syncDirectory(directory));
  };

  const setEnabled = async (unit: string, enabled: boolean): Promise<void> => {
    await host.command(process, `systemctl ${enabled ? 'enable' : 'disable'} ${unit}`, changeMs, () =>
      host.setEnabled(unit, enabled),
    );
    await flush(unit);
  };

  const run = async (
    verb: 'start' | 'stop',
    unit: string,
    act: () => void,
    { boundMs, signal }: JobOptions,
  ): Promise<void> => {
    signal.throwIfAborted();
    const asked = clock.monotonic();
    await host.command(process, `systemctl ${verb} ${unit}`, showMs, act);
    let activeSince: number | undefined;
    for (;;) {
      const { activeState, result } = await record(unit);
      const now = clock.monotonic();
      activeSince = activeState === 'active' ? (activeSince ?? now) : undefined;
      const isDown = activeState === 'inactive' || activeState === 'failed';
      if (verb === 'stop' && isDown) return;
      if (verb === 'start' && activeSince !== undefined && now - activeSince >= settleMs) return;
      const state = `ActiveState=${activeState}, Result=${result}`;
      if (verb === 'start' && activeState === 'failed')
        throw new RlnetError('UNIT_FAILED', `${unit} failed (${state}).`, `See systemctl status ${unit}.`);
      if (now - asked >= boundMs)
        throw new RlnetError(
          'UNIT_TIMEOUT',
          `${unit} did not ${verb} within ${boundMs} ms (${state}).`,
          `See systemctl status ${unit}.`,
        );
      await sleep(clock, pollMs, signal);
    }
  };

  return {
    state: record,
    record,
    async disable({ unit }) {
      await setEnabled(unit, false);
      const refusal = judgeDisabled(await record(unit));
      if (refusal !== undefined) throw refusal;
    },
    async enable(before) {
      await setEnabled(before.unit, before.links.length > 0);
      const refusal = judgeEnabled(before, await record(before.unit));
      if (refusal !== undefined) throw refusal;
    },
    flush: ({ unit }) => flush(unit),
    start: (unit, options) => run('start', unit, () => host.startUnit(unit), options),
    stop: (unit, options) => run('stop', unit, () => host.stopUnit(unit), options),
  };
}

/** The record of a unit, without asking for it. */
export function recordOf(host: SimHost, unit: string): UnitRecord {
  const state = host.unit(unit);
  const isEnabled = state?.unitFileState === 'enabled';
  const fragmentPath = state === undefined ? '' : `${unitFiles}/${unit}`;
  const none = { unit, loadState: 'not-found', activeState: 'inactive', subState: 'dead' };
  const link = { path: enablingLink(unit), target: fragmentPath, dependant: 'multi-user.target' };
  return enabledUnit({
    ...(state ?? { ...none, unitFileState: '', result: 'success' }),
    names: [unit],
    fragmentPath,
    wantedBy: isEnabled ? [link.dependant] : [],
    links: isEnabled ? [link] : [],
  });
}
